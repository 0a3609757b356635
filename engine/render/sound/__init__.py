"""The sound of a video: mixed, levelled, encoded."""
