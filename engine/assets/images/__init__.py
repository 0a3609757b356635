"""Image services: pictures for scenes without an image or video."""
