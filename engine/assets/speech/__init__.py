"""Speech services: narration from text."""
