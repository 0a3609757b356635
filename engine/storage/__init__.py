"""Storage for the folders of finished jobs."""
