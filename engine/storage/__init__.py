"""Where finished folders go."""
