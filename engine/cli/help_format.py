"""The layout of `--help`: descriptions are wrapped, examples and tables keep their lines."""

from __future__ import annotations

import argparse
import textwrap


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps each long line of a description or epilog, except lines that are indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (
            indent + line
            if line.startswith("  ")
            else textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent)
            for line in text.splitlines()
        )
        return "\n".join(lines)
