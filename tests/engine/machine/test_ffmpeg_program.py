"""The ffmpeg programs of this machine, found and inspected with real programs."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.machine import ffmpeg_program
from video_pipeline.engine.machine.ffmpeg_program import (
    REQUIRED_FILTERS,
    ffmpeg_programs,
    find_ffmpeg,
    inspect_ffmpeg,
)
from video_pipeline.engine.render.encoders.choice import forget_trials


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Forget what was found, before and after each test."""
    for forget in (ffmpeg_programs.cache_clear, find_ffmpeg.cache_clear, forget_trials):
        forget()
    yield monkeypatch
    monkeypatch.undo()
    for forget in (ffmpeg_programs.cache_clear, find_ffmpeg.cache_clear, forget_trials):
        forget()


def test_an_ffmpeg_with_every_filter_is_found() -> None:
    program = find_ffmpeg()
    assert program.missing == frozenset()
    assert program.version.startswith("ffmpeg version")
    assert program.release >= (4,)
    assert {"perspective", "xfade", "drawtext"} <= program.filters


@pytest.mark.parametrize("kind", ["missing", "not a program", "fails", "folder"])
def test_a_named_ffmpeg_that_does_not_run_is_an_error_that_names_it(
    tmp_path: Path, fresh: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "my-ffmpeg"
    if kind == "not a program":
        path.write_text("no program")
    elif kind == "fails":
        path.write_text("#!/bin/sh\nexit 1\n")
        path.chmod(0o755)
    elif kind == "folder":
        path.mkdir()
    fresh.setenv("VIDEO_PIPELINE_FFMPEG", str(path))
    with pytest.raises(UnavailableError, match=rf"VIDEO_PIPELINE_FFMPEG={path} does not run"):
        find_ffmpeg()


def test_a_named_ffmpeg_that_runs_is_taken_and_no_other(tmp_path: Path, fresh: pytest.MonkeyPatch) -> None:
    link = tmp_path / "chosen"
    link.symlink_to(find_ffmpeg().path)
    find_ffmpeg.cache_clear()
    ffmpeg_programs.cache_clear()
    fresh.setenv("VIDEO_PIPELINE_FFMPEG", str(link))
    assert find_ffmpeg().path == link
    assert find_ffmpeg().origin == "VIDEO_PIPELINE_FFMPEG"


def test_filters_that_are_missing_are_named(tmp_path: Path, fresh: pytest.MonkeyPatch) -> None:
    real = find_ffmpeg().path
    path = tmp_path / "poor-ffmpeg"
    path.write_text(f"#!/bin/sh\n'{real}' \"$@\" | grep -v -w -e drawtext -e xfade\n")
    path.chmod(0o755)
    find_ffmpeg.cache_clear()
    ffmpeg_programs.cache_clear()
    fresh.setenv("VIDEO_PIPELINE_FFMPEG", str(path))
    with pytest.raises(UnavailableError, match=r"poor-ffmpeg lacks drawtext, xfade"):
        find_ffmpeg()


def test_without_any_ffmpeg_the_error_says_what_to_install(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(ffmpeg_program, "_candidates", lambda: iter(()))
    with pytest.raises(
        UnavailableError, match="no ffmpeg program was found; `pip install imageio-ffmpeg` brings one"
    ):
        find_ffmpeg()


def test_a_program_on_the_path_is_looked_at_too(tmp_path: Path, fresh: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").symlink_to(find_ffmpeg().path)
    find_ffmpeg.cache_clear()
    ffmpeg_programs.cache_clear()
    fresh.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "system" in {program.origin for program in ffmpeg_programs()}


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("ffmpeg version 8.0.1 Copyright", (8, 0, 1)),
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright", (9, 0, 2)),
        ("ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright", (4, 4, 2)),
        ("ffmpeg version N-119-gabc Copyright", (0,)),
    ],
)
def test_the_release_is_read_from_every_kind_of_version_line(line: str, release: tuple[int, ...]) -> None:
    program = ffmpeg_program.FfmpegProgram(Path("ffmpeg"), line, frozenset(), "system")
    assert program.release == release


def test_every_filter_that_the_graphs_use_is_required() -> None:
    used: set[str] = set()
    for path in [*(ROOT / "engine").rglob("*.py"), *(ROOT / "filters").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if name in ("filter", "merge") and str(node.args[0].value).islower():
                    used.add(node.args[0].value)
    optional = {"perspective", "zscale", "tonemap", "hwdownload", "libvmaf"}
    assert used - optional == set(REQUIRED_FILTERS) - {"split"}


def test_a_file_that_is_not_ffmpeg_is_not_a_program(tmp_path: Path) -> None:
    assert inspect_ffmpeg(tmp_path / "nothing", "test") is None


def test_a_program_is_probed_again_only_if_it_changed_or_the_cached_answer_is_corrupt(
    tmp_path: Path,
) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "ffmpeg"
    script = f'#!/bin/sh\necho x >> {asked}\nexec {find_ffmpeg().path} "$@"\n'
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    memory = ContentCache(tmp_path / "cache")

    def times_asked() -> int:
        found = inspect_ffmpeg(program, "test", memory)
        assert found is not None
        assert found.filters == find_ffmpeg().filters
        assert found.decoders == find_ffmpeg().decoders >= {"h264", "vp9"}
        return len(asked.read_text(encoding="utf-8").split())

    first = times_asked()
    assert times_asked() == first
    program.write_text(script + "# another\n", encoding="utf-8")
    second = times_asked()
    assert second == 2 * first
    for kept in (tmp_path / "cache").rglob("*.json"):
        kept.write_text("{", encoding="utf-8")
    assert times_asked() == 3 * first
