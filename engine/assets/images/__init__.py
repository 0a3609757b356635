"""Image services: pictures for scenes that bring none."""
