"""The output files of a render."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from video_pipeline.engine.common.arguments import as_path
from video_pipeline.engine.errors import InputError

ROLES: Final = ("video", "thumbnail", "srt", "vtt", "ass", "words", "metadata", "manifest")
"""The roles of the output files; each is a property of `OutputPaths`."""


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """The output files of a render, named after the video, whose path may also be given as text."""

    video: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "video", as_path(self.video, "video"))
        if not self.video.name:
            raise InputError(f"video: got {str(self.video)!r}; allowed: the path of a file")

    def _beside(self, ending: str) -> Path:
        return self.video.with_name(self.video.stem + ending)

    @property
    def thumbnail(self) -> Path:
        """The thumbnail: a good frame with the title."""
        return self._beside("_thumb.jpg")

    @property
    def srt(self) -> Path:
        """Subtitles as SubRip."""
        return self._beside(".srt")

    @property
    def vtt(self) -> Path:
        """Subtitles as WebVTT."""
        return self._beside(".vtt")

    @property
    def ass(self) -> Path:
        """Subtitles as ASS, with karaoke tags."""
        return self._beside(".ass")

    @property
    def words(self) -> Path:
        """The spoken words: each with its start, end and scene."""
        return self._beside(".words.json")

    @property
    def metadata(self) -> Path:
        """Title, description, tags and format."""
        return self._beside(".metadata.json")

    @property
    def manifest(self) -> Path:
        """Inputs, versions, choices and timings."""
        return self._beside(".manifest.json")

    def by_role(self) -> dict[str, Path]:
        """Return every file under its role."""
        return {role: getattr(self, role) for role in ROLES}
