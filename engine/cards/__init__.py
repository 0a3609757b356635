"""What a video begins and ends with: title card, end card, intro and outro."""
