"""The program that draws an SVG, apart from the engine because a drawing may take too much time or memory, or crash.

It reads a checked document on standard input and writes a PNG to standard output. Its argument is a JSON object:
`side` is the longer side in pixels, `memory` and `seconds` are its limits, `fonts` are paths of font files.
"""

from __future__ import annotations

import json
import sys


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: the caller's timeout is the only limit
        return
    limits = {resource.RLIMIT_CPU: seconds, resource.RLIMIT_CORE: 0}
    if sys.platform == "linux":
        limits[resource.RLIMIT_AS] = memory
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]  # a limit of the caller's cannot be raised
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))


def main() -> int:
    """Draw the document; return 0, or 1 with the reason on standard error."""
    order = json.loads(sys.argv[1])
    _limit(order["memory"], order["seconds"])
    from resvg_py import svg_to_bytes

    try:
        drawing = svg_to_bytes(
            svg_string=sys.stdin.buffer.read().decode("utf-8"),
            width=order["side"],
            height=order["side"],
            skip_system_fonts=True,
            font_files=order["fonts"],
            font_family="Noto Sans",
            sans_serif_family="Noto Sans",
            serif_family="Noto Sans",
            monospace_family="Noto Sans",
            cursive_family="Noto Sans",
            fantasy_family="Noto Sans",
        )
    except ValueError as error:
        print(str(error).replace("\n", " "), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(drawing)
    return 0


if __name__ == "__main__":
    sys.exit(main())
