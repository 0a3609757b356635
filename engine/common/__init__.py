"""Files, caches, documents and validation: code that does not depend on video."""
