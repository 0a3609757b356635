"""`--help` of every command: descriptions, meanings of options, examples, exit statuses."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from video_pipeline.engine.cli.client_parsers import COMMANDS as CLIENT_COMMANDS
from video_pipeline.engine.cli.main import build_parser, main


def commands_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from commands_of(inner)


COMMANDS = {parser.prog: parser for parser in commands_of(build_parser())}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_description_and_a_help_text_for_every_option(name: str) -> None:
    parser = COMMANDS[name]
    assert parser.description
    for action in parser._actions:
        is_choice_of_commands = isinstance(action, argparse._SubParsersAction)
        assert action.help or is_choice_of_commands, action.dest


@pytest.mark.parametrize("name", COMMANDS)
def test_descriptions_are_wrapped(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    description = COMMANDS[name].format_help().partition("\n\n")[2].partition("\n\n")[0]
    assert max(map(len, description.splitlines())) <= 80


@pytest.mark.parametrize("verb", CLIENT_COMMANDS)
def test_a_client_command_states_its_exit_statuses(verb: str) -> None:
    text = COMMANDS[f"video-pipeline {verb}"].format_help()
    assert "exit status:\n  0  " in text
    assert all(f"\n  {status}" in text for status in (1, 2, 130))


def test_the_examples_of_keys_name_the_configuration() -> None:
    examples = COMMANDS["video-pipeline keys"].format_help().partition("examples:\n")[2].splitlines()
    assert len(examples) == 5
    assert all("--config node.yaml" in line for line in examples)


def test_retry_says_that_a_schedule_is_not_waited_for() -> None:
    text = " ".join(COMMANDS["video-pipeline retry"].format_help().split())
    assert "does not wait for that time: it may start at once" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "a COMMAND is missing; allowed: render, render-many,"),
        (["schema"], "required: {story,config,messages}"),
        (["schema", "stories"], "invalid choice: 'stories' (choose from "),
        (["keys"], "required: {node,client,token,list,revoke,revoke-token}"),
    ],
)
def test_a_usage_error_lists_the_choices(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_help_of_the_whole_program_imports_no_command() -> None:
    program = (
        "import sys; from video_pipeline.engine.cli.main import COMMANDS, build_parser; "
        "build_parser(['--help']).format_help(); "
        "print({module for module, _ in COMMANDS.values()} & {name.rpartition('.')[2] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
