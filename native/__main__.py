"""Print whether the native compositor was built: `python -m video_pipeline.native`."""

from __future__ import annotations

from video_pipeline import native


def main() -> None:
    """Print one line about the native compositor."""
    if native.available():
        print(f"native compositor: built, with {native.target()} rows")
    else:
        print(
            "native compositor: not built, since no C++ compiler was found; the ffmpeg compositor draws instead"
        )


if __name__ == "__main__":
    main()
