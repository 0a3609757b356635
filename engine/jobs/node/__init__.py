"""The inside of a render node: scheduler, workers, publishing, and what is seen from outside."""
