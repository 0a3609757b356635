"""What this machine can do, asked of real programs and real encoders."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from video_pipeline import native
from video_pipeline.engine import capabilities
from video_pipeline.engine.assets.cache import ContentCache
from video_pipeline.engine.capabilities import (
    REQUIRED_FILTERS,
    choose_compositor,
    choose_encoder,
    classify_nvenc,
    cpu_count,
    ffmpeg_programs,
    find_ffmpeg,
    gpus,
    inspect_ffmpeg,
    probe_encoder,
)
from video_pipeline.engine.errors import UnavailableError

NO_DEVICE = "[h264_nvenc @ 0x55d] No capable devices found"

# Logs of failed encodes as FFmpeg writes them, by the first line that decides.
NVENC_LOGS = {
    "no driver": ("Cannot load libcuda.so.1\n" + NO_DEVICE, "no NVIDIA driver"),
    "no driver on Windows": ("Cannot load nvcuda.dll\n" + NO_DEVICE, "no NVIDIA driver"),
    "no video capability": (
        "Loaded lib: libcuda.so.1\nCannot load libnvidia-encode.so.1\nThe minimum required Nvidia driver for nvenc is 570.0 or newer",
        "encoder library is missing",
    ),
    "old driver": (
        "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1\n"
        "The minimum required Nvidia driver for nvenc is 570.0 or newer",
        "driver is too old",
    ),
    "a GPU without NVENC": (
        "OpenEncodeSessionEx failed: unsupported device (2): (no details)\n" + NO_DEVICE,
        "this GPU has no NVENC",
    ),
    "session limit of current drivers": (
        "OpenEncodeSessionEx failed: incompatible client key (21): (no details)\n" + NO_DEVICE,
        "every NVENC session",
    ),
    "session limit of old drivers": (
        "OpenEncodeSessionEx failed: out of memory (10): (no details)\n" + NO_DEVICE,
        "out of sessions or memory",
    ),
    "a small probe": (
        "InitializeEncoder failed: invalid param (8): Frame Dimension less than the minimum supported value.",
        "smaller than NVENC encodes",
    ),
    "CUDA does not start": (
        "dl_fn->cuda_dl->cuInit(0) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected\n"
        + NO_DEVICE,
        "CUDA could not be started",
    ),
    "nothing else is said": (NO_DEVICE, "no GPU here can encode"),
    "an unknown fault": ("something new happened", "the probe encode failed"),
    "silence": ("", "the probe encode failed"),
}


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Forget what was found, before and after."""
    for function in (ffmpeg_programs, find_ffmpeg, probe_encoder):
        function.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    for function in (ffmpeg_programs, find_ffmpeg, probe_encoder):
        function.cache_clear()


@pytest.mark.parametrize("case", NVENC_LOGS)
def test_a_failed_nvenc_probe_is_explained_by_its_first_decisive_line(case: str) -> None:
    log, meaning = NVENC_LOGS[case]
    assert meaning in classify_nvenc(log)


def test_a_line_that_decides_nothing_does_not_hide_the_one_that_follows() -> None:
    log = f"{NO_DEVICE}\nOpenEncodeSessionEx failed: unsupported device (2): (no details)"
    assert classify_nvenc(log) == "this GPU has no NVENC"


def test_libx264_is_probed_by_a_real_encode() -> None:
    probe = probe_encoder("libx264")
    assert probe.works
    assert probe.reason == "a probe encode succeeded"


def test_an_encoder_that_does_not_exist_is_reported_as_such() -> None:
    probe = probe_encoder("h264_nonsense")
    assert not probe.works
    assert "was built without it" in probe.reason


def test_asking_for_nvenc_works_or_says_why_not() -> None:
    probe = probe_encoder("h264_nvenc")
    if probe.works:
        assert choose_encoder("h264_nvenc").name == choose_encoder("auto").name == "h264_nvenc"
        return
    with pytest.raises(UnavailableError) as caught:
        choose_encoder("h264_nvenc")
    text = str(caught.value)
    assert "encoder 'h264_nvenc' is not usable here" in text
    assert probe.reason in text
    assert probe.reason != "the probe encode failed"
    assert "allowed on this machine: auto, libx264" in text
    assert probe.log.splitlines()[0].strip() in text
    auto = choose_encoder("auto")
    assert auto.name == "libx264"
    assert probe.reason in auto.reason


def test_a_compositor_that_cannot_draw_here_is_an_error_that_lists_those_that_can() -> None:
    with pytest.raises(
        UnavailableError, match="compositor 'cuda' is not usable here: it is not part"
    ) as raised:
        choose_compositor("cuda")
    assert str(raised.value).endswith("native, ffmpeg" if native.available() else "auto, ffmpeg")
    assert choose_compositor("ffmpeg").name == "ffmpeg"


def test_the_native_compositor_is_taken_where_its_extension_was_built() -> None:
    chosen = choose_compositor("auto")
    assert chosen.name == ("native" if native.available() else "ffmpeg")
    if native.available():
        assert native.target() in chosen.reason
    else:
        with pytest.raises(
            UnavailableError, match="'native' is not usable here: its extension was not built"
        ):
            choose_compositor("native")


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
    fresh.setattr(capabilities, "_candidates", lambda: iter(()))
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
    program = capabilities.FfmpegProgram(Path("ffmpeg"), line, frozenset(), "system")
    assert program.release == release


def test_every_filter_that_the_graphs_use_is_required() -> None:
    root = Path(__file__).parents[2]
    used: set[str] = set()
    for path in [*(root / "engine").rglob("*.py"), *(root / "filters").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
                if name in ("filter", "merge") and str(node.args[0].value).islower():
                    used.add(node.args[0].value)
    assert used - {"perspective"} == set(REQUIRED_FILTERS) - {"split"}


def test_what_is_no_ffmpeg_is_no_program(tmp_path: Path) -> None:
    assert inspect_ffmpeg(tmp_path / "nothing", "test") is None


def test_gpus_are_listed_or_their_absence_is_explained() -> None:
    found, why = gpus()
    assert bool(found) != bool(why)


def test_the_processors_counted_are_those_that_may_be_used() -> None:
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)


def test_a_program_is_asked_again_only_when_it_has_changed_or_what_was_kept_is_damaged(
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
        return len(asked.read_text(encoding="utf-8").split())

    first = times_asked()
    assert times_asked() == first
    program.write_text(script + "# another\n", encoding="utf-8")
    second = times_asked()
    assert second == 2 * first
    for kept in (tmp_path / "cache").rglob("*.json"):
        kept.write_text("{", encoding="utf-8")
    assert times_asked() == 3 * first


def test_a_process_takes_no_more_cores_than_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "_most_cores", None)
    everything = capabilities.cpu_count()
    capabilities.limit_cores(1)
    assert capabilities.cpu_count() == 1
    capabilities.limit_cores(everything + 100)
    assert capabilities.cpu_count() == everything
    with pytest.raises(ValueError, match="cores: got 0; allowed"):
        capabilities.limit_cores(0)
