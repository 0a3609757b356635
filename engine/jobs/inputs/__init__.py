"""The pictures, clips and sounds of a job: where they may come from, and those sent with it."""
