"""The tuning of encoder settings: material, search, measurements and what they say."""
