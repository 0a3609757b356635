"""Files, caches, documents, validation: parts that know nothing of video."""
