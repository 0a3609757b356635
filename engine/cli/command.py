"""What a module of commands gives to the command line: `COMMANDS`, a Command by each name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable

Command = tuple[Callable[[ArgumentParser], None], Callable[[Namespace], int]]
"""A function that adds a command's description and options to its parser, and one that runs the command and returns the
exit status."""
