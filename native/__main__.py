"""Print whether the native compositor was built: `python -m video_pipeline.native`."""

from __future__ import annotations

from pathlib import Path

from video_pipeline import native


def main() -> None:
    """Print one line about the native compositor."""
    if native.available():
        print(f"native compositor: built, with {native.target()} rows")
    else:
        print(
            f"native compositor: {Path(__file__).parent} has no C++ extension, so the ffmpeg compositor draws. "
            "Installing builds the extension if it finds a C++17 compiler; in a checkout, install with "
            "`pip install --editable .`"
        )


if __name__ == "__main__":
    main()
