"""The files of a finished render: thumbnail, subtitles, metadata, manifest."""
