"""Errors about the value of an option begin with the option, as it was given."""

from __future__ import annotations

import argparse

import pytest

from video_pipeline.engine.cli.main import build_parser
from video_pipeline.engine.cli.option_names import OPTION_NAMES, name_options


def given(**options: object) -> argparse.Namespace:
    return argparse.Namespace(**options)


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("option: video.crf: got 99; allowed: 0 to 51", "--crf: got 99; allowed: 0 to 51"),
        ("video.crf: got 99", "--crf: got 99"),
        ("c.yaml: video.crf: got 99", "c.yaml: video.crf: got 99"),
        ("video.crfs: got 99", "video.crfs: got 99"),
        ("the sum of\nvideo.crf: got 99", "the sum of\n--crf: got 99"),
        ("video.bitrate: got 9", "video.bitrate: got 9"),
    ],
)
def test_only_the_beginning_of_a_line_about_a_given_option_is_replaced(message: str, named: str) -> None:
    assert name_options(message, given(crf=99.0, bitrate=None)) == named


def test_both_sides_of_a_size_are_one_error() -> None:
    message = (
        "option: video.size[0]: got 5; allowed: 16 to 4096\noption: video.size[1]: got 5; allowed: 16 to 4096"
    )
    assert name_options(message, given(size="5x5")) == "--size: got 5; allowed: 16 to 4096"


def test_every_name_is_an_option_or_argument_of_a_command() -> None:
    found: dict[str, set[str]] = {}

    def collect(parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:
            found.setdefault(action.dest, set()).update(action.option_strings or [str(action.metavar)])
            if isinstance(action, argparse._SubParsersAction):
                for inner in action.choices.values():
                    collect(inner)

    collect(build_parser())
    for attribute, (option, _) in OPTION_NAMES.items():
        assert option in found[attribute]
