"""Families of interchangeable parts: their tables, and how a member is loaded and selected."""

from __future__ import annotations

import subprocess
import sys

import pytest

from video_pipeline.engine.cli.main import build_parser
from video_pipeline.engine.cli.schema import config_schema
from video_pipeline.engine.common.registry import Family, Member, Probe
from video_pipeline.engine.config import load_config
from video_pipeline.engine.config.families import COMPOSITORS, ENCODERS, FAMILIES
from video_pipeline.engine.errors import ConfigError, UnavailableError

MEMBERS = [(family, member) for family in FAMILIES for member in family.members]
LETTERS = Family(
    kind="letter",
    key="alphabet.letter",
    words=("auto",),
    members=(
        Member("a", "the first", "a package that is not there", "no_such_module:RECORD"),
        Member("b", "the second", "nothing", "common.registry:PACKAGE"),
        Member("c", "a name only", "nothing", None),
    ),
)


@pytest.mark.parametrize(("family", "member"), MEMBERS, ids=lambda value: getattr(value, "name", ""))
def test_every_implemented_member_has_a_record_with_its_name(family: Family, member: Member) -> None:
    if member.record is None:
        with pytest.raises(UnavailableError, match="it is not part of this version"):
            family.load(member.name)
        return
    assert family.load(member.name).name == member.name


def test_the_tables_are_read_without_importing_a_member() -> None:
    code = """
import sys
from video_pipeline.engine.config.families import FAMILIES
assert all(family.names for family in FAMILIES)
heavy = {"av", "numpy", "PIL", "pydantic", "hibari", "ffmpeg"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("family", [COMPOSITORS, ENCODERS], ids=lambda family: family.kind)
def test_configuration_schema_and_help_take_their_names_from_the_table(
    family: Family, capsys: pytest.CaptureFixture[str]
) -> None:
    section, key = family.key.split(".")
    for name in family.names:
        assert getattr(getattr(load_config({section: {key: name}}, environ=False), section), key) == name
    with pytest.raises(ConfigError) as caught:
        load_config({section: {key: "nonsense"}}, environ=False)
    assert all(repr(name) in str(caught.value) for name in family.names)
    schema = config_schema()["$defs"][section.capitalize()]["properties"][key]
    assert tuple(schema["enum"]) == family.names
    with pytest.raises(SystemExit):
        build_parser().parse_args(["render", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert all(member.summary in shown for member in family.members)


def test_the_error_for_a_missing_package_says_what_the_member_needs() -> None:
    with pytest.raises(UnavailableError) as caught:
        LETTERS.load("a")
    assert str(caught.value) == "it needs a package that is not there"


def test_a_name_that_the_family_lacks_is_an_error_that_lists_all() -> None:
    for call in (LETTERS.load, LETTERS.member, lambda name: LETTERS.select(name, _works_if("b"))):
        with pytest.raises(UnavailableError) as caught:
            call("z")
        assert str(caught.value) == "alphabet.letter: got 'z'; allowed: auto, a, b, c"


def _works_if(*names: str):
    return lambda name: Probe(name, name in names, f"{name} was tried", f"log of {name}")


def test_auto_takes_the_first_that_works_and_says_why_others_were_left_out() -> None:
    assert LETTERS.select("auto", _works_if("a", "b")).name == "a"
    second = LETTERS.select("auto", _works_if("b"))
    assert (second.name, second.reason) == ("b", "a is not usable: a was tried")
    assert LETTERS.select("auto", _works_if("a")).reason == "a was tried"
    with pytest.raises(UnavailableError, match=r"^no letter is usable here: a is not usable: a was tried; b"):
        LETTERS.select("auto", _works_if())


def test_a_member_chosen_by_name_works_or_is_an_error_with_reason_log_and_alternatives() -> None:
    assert LETTERS.select("b", _works_if("b")).reason == "asked for by name"
    with pytest.raises(UnavailableError) as caught:
        LETTERS.select("a", _works_if("b"))
    assert str(caught.value) == (
        "alphabet.letter: got 'a', which is not usable here: a was tried; allowed on this machine: auto, b\n  log of a"
    )


def test_a_record_is_constant() -> None:
    with pytest.raises(AttributeError):
        LETTERS.kind = "digit"  # type: ignore[misc]
    assert LETTERS._replace(kind="digit").names == LETTERS.names
