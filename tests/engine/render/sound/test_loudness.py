"""One constant gain to reach a loudness: its precision, its limits, and errors of ffmpeg."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import imageio_ffmpeg
import numpy as np
import pytest

from video_pipeline.engine.errors import CancelledError, RenderingError, SubprocessError
from video_pipeline.engine.render.sound import loudness
from video_pipeline.engine.render.sound.loudness import Levelled, level, run_ffmpeg, stream_ffmpeg
from video_pipeline.filters.audio import Loudness

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
RATE_HZ = 48000
PROMISED_LU = 0.2
PROMISED_DB = 0.05


def mix_of(folder: Path, *, seconds: float = 3, amplitude: float = 0.1, peaks: float = 0.0) -> Path:
    """Write syllables of noise, with peaks between if wanted, as raw float32 stereo."""
    rng = np.random.default_rng(3)
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = amplitude * rng.standard_normal(len(at)) * np.clip(np.sin(2 * np.pi * 3 * at), 0, 1)
    if peaks:
        sound[6000::24000] = peaks
    path = folder / "mix.f32"
    path.write_bytes(np.repeat(sound[:, None], 2, axis=1).astype("<f4").tobytes())
    return path


def levelled(
    folder: Path,
    mix: Path,
    *,
    target_lufs: float = -14.0,
    true_peak_db: float = -1.0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Levelled:
    samples = mix.stat().st_size // 8
    return level(
        mix,
        folder / "mix.wav",
        samples=samples,
        sample_rate_hz=RATE_HZ,
        target_lufs=target_lufs,
        true_peak_db=true_peak_db,
        ffmpeg=FFMPEG,
        cancelled=cancelled,
    )


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the purpose of each run of ffmpeg, in order; ffmpeg is still run."""
    seen: list[str] = []
    real = loudness.run_ffmpeg

    def run(argv: list[str], *, what: str, cancelled: Callable[[], bool]) -> str:
        seen.append(what)
        return real(argv, what=what, cancelled=cancelled)

    monkeypatch.setattr(loudness, "run_ffmpeg", run)
    return seen


@pytest.mark.parametrize(
    ("amplitude", "peaks", "target_lufs", "limited"),
    [
        (0.01, 0, -20, False),
        (0.4, 0, -30, False),
        (0.1, 0.7, -14, True),
        (0.1, 0, -12, True),
        (0.03, 0.6, -16, True),
    ],
)
def test_the_loudness_is_within_a_fifth_of_a_lu_and_the_peak_under_its_ceiling(
    tmp_path: Path, amplitude: float, peaks: float, target_lufs: float, limited: bool
) -> None:
    found = levelled(tmp_path, mix_of(tmp_path, amplitude=amplitude, peaks=peaks), target_lufs=target_lufs)
    assert abs(found.after.integrated_lufs - target_lufs) <= PROMISED_LU + 1e-6
    assert found.after.true_peak_db <= -1 + PROMISED_DB
    assert found.limited == limited


def test_without_a_limiter_one_gain_is_enough(tmp_path: Path, runs: list[str]) -> None:
    found = levelled(tmp_path, mix_of(tmp_path, amplitude=0.02), target_lufs=-23)
    assert runs == ["measuring the mix", "adjusting the loudness of the mix"]
    assert found.gain_db == pytest.approx(-23 - found.before.integrated_lufs)
    assert found.after.true_peak_db == pytest.approx(found.before.true_peak_db + found.gain_db, abs=0.11)


def test_at_most_three_corrections_are_tried_and_peaks_are_lowered_by_at_most_18_db(
    tmp_path: Path, runs: list[str]
) -> None:
    mix = mix_of(tmp_path, amplitude=0.0003, peaks=0.9)
    found = levelled(tmp_path, mix, target_lufs=-5)
    assert 2 <= len(runs) <= 5
    assert found.limited
    room_db = -1 - found.before.true_peak_db - PROMISED_DB
    assert found.gain_db == pytest.approx(room_db + 18)
    assert found.after.integrated_lufs < -10, "the target is missed rather than the sound crushed"


def scripted(monkeypatch: pytest.MonkeyPatch, *measured: Loudness) -> tuple[list[list[str]], Path]:
    """Replace the readings of ffmpeg's meter by those of a test; return the commands that were run."""
    commands: list[list[str]] = []
    waiting = list(measured)

    def run(argv: list[str], *, what: str, cancelled: Callable[[], bool]) -> str:
        commands.append(argv)
        found = waiting.pop(0)
        return (
            f"Summary:\n Integrated loudness:\n I: {found.integrated_lufs} LUFS\n"
            f" True peak:\n Peak: {found.true_peak_db} dBFS\n"
        )

    monkeypatch.setattr(loudness, "run_ffmpeg", run)
    return commands, Path("mix.f32")


def gains(commands: list[list[str]]) -> list[float]:
    texts = [command[command.index("-filter_complex") + 1] for command in commands[1:]]
    return [float(text.partition(":volume=")[2].partition("dB")[0]) for text in texts]


def limits_db(commands: list[list[str]]) -> list[float]:
    texts = [command[command.index("-filter_complex") + 1] for command in commands[1:]]
    return [20 * math.log10(float(text.partition("limit=")[2].partition(":")[0])) for text in texts]


class TestSteps:
    """The arithmetic of the correction, with given readings of the meter."""

    def run(self, path: Path, *, true_peak_db: float = -1) -> Levelled:
        return level(
            path,
            Path("out.wav"),
            samples=48000,
            sample_rate_hz=RATE_HZ,
            target_lufs=-14,
            true_peak_db=true_peak_db,
            ffmpeg=FFMPEG,
            cancelled=lambda: False,
        )

    @pytest.mark.parametrize("off", [0.2, -0.2, 0.1, 0.0])
    def test_a_loudness_within_a_fifth_of_a_db_is_not_corrected(
        self, monkeypatch: pytest.MonkeyPatch, off: float
    ) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-20, -12), Loudness(-14 + off, -6))
        found = self.run(mix)
        assert gains(commands) == [6]
        assert found == Levelled(Loudness(-20, -12), Loudness(-14 + off, -6), 6, limited=False)

    def test_a_larger_deviation_is_corrected_by_the_measured_effect_of_a_db(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands, mix = scripted(
            monkeypatch, Loudness(-20, -3), Loudness(-16, -1), Loudness(-14.5, -1), Loudness(-14.1, -1)
        )
        found = self.run(mix)
        first, second = 6, 6 + 2 / (4 / 6)
        assert gains(commands) == pytest.approx([first, second, second + 0.5 / (1.5 / 3)], abs=1e-4)
        assert found.limited
        assert found.after == Loudness(-14.1, -1)

    @pytest.mark.parametrize(
        ("brought", "slope"), [(0.0, 0.2), (0.6, 0.2), (3.0, 0.5), (9.0, 1.0), (-1.0, 0.2)]
    )
    def test_a_db_is_taken_to_bring_a_fifth_to_one_lu(
        self, monkeypatch: pytest.MonkeyPatch, brought: float, slope: float
    ) -> None:
        after = Loudness(-20 + brought, -1)
        commands, mix = scripted(monkeypatch, Loudness(-20, -3), after, Loudness(-14, -1))
        self.run(mix)
        expected = 6 + (-14 - after.integrated_lufs) / slope
        assert gains(commands)[1] == pytest.approx(min(expected, 2 - 0.05 + 18), abs=1e-4)

    def test_a_peak_over_the_ceiling_lowers_the_limiter_s_and_is_tried_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands, mix = scripted(
            monkeypatch, Loudness(-20, -3), Loudness(-14, -0.6), Loudness(-14, -0.9), Loudness(-14, -0.96)
        )
        self.run(mix)
        assert limits_db(commands) == pytest.approx([-1, -1.4, -1.5], abs=1e-6)
        assert gains(commands) == [6, 6, 6]

    def test_a_peak_that_reads_a_twentieth_over_its_ceiling_is_left(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-20, -3), Loudness(-14, 0.05))
        assert self.run(mix, true_peak_db=0).after.true_peak_db == 0.05
        assert len(commands) == 2

    def test_a_peak_below_the_ceiling_does_not_raise_the_limiter_s(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-20, -3), Loudness(-14.5, -1.4), Loudness(-14, -1.2))
        self.run(mix)
        assert limits_db(commands) == pytest.approx([-1, -1], abs=1e-6)

    def test_a_correction_without_effect_is_followed_by_one_of_the_missing_lu(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands, mix = scripted(
            monkeypatch, Loudness(-20, -3), Loudness(-14, -0.6), Loudness(-14.5, -1), Loudness(-14, -1)
        )
        self.run(mix)
        assert gains(commands) == [6, 6, 6.5]

    def test_the_gain_that_is_reported_is_the_last_that_was_applied(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-20, -30), *[Loudness(-14.5, -1)] * 4)
        assert self.run(mix).gain_db == pytest.approx(gains(commands)[-1], abs=1e-4)
        assert len(set(gains(commands))) == 4

    def test_levelling_ends_after_three_corrections(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-20, -3), *[Loudness(-18, 0.5)] * 4)
        found = self.run(mix)
        assert len(commands) == 1 + 1 + 3
        assert found.gain_db == pytest.approx(gains(commands)[-1], abs=1e-4)

    @pytest.mark.parametrize(("peak_db", "limited"), [(-7.0, True), (-7.06, False), (-7.04, True)])
    def test_the_limiter_is_used_if_the_gain_lifts_peaks_to_the_ceiling_within_the_meters_rounding(
        self, monkeypatch: pytest.MonkeyPatch, peak_db: float, limited: bool
    ) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-20, peak_db), Loudness(-14, -1))
        assert self.run(mix).limited == limited
        text = commands[1][commands[1].index("-filter_complex") + 1]
        assert ("alimiter" in text) == limited
        assert ("whole_len=48000" in text) == limited

    def test_sound_that_cannot_be_measured_gets_no_gain(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-70, -30), Loudness(-70, -30))
        found = self.run(mix)
        assert gains(commands) == [0]
        assert (found.gain_db, found.limited) == (0, False)

    def test_the_commands_ask_for_nothing_and_overwrite(self, monkeypatch: pytest.MonkeyPatch) -> None:
        commands, mix = scripted(monkeypatch, Loudness(-20, -12), Loudness(-14, -6))
        self.run(mix)
        for command in commands:
            assert command[:7] == [
                str(FFMPEG),
                "-nostdin",
                "-hide_banner",
                "-nostats",
                "-loglevel",
                "info",
                "-y",
            ]
        assert commands[0][-1] == "-"
        assert commands[0][commands[0].index("null") - 1] == "-f"
        assert commands[1][-1] == "out.wav"
        assert commands[1][commands[1].index("pcm_s24le") - 1] == "-acodec"

    def test_the_error_for_a_log_without_measurement_names_the_step_and_the_command(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loudness, "run_ffmpeg", lambda argv, **options: "nothing")
        with pytest.raises(
            RenderingError, match="measuring the mix: ffmpeg's log holds no summary"
        ) as caught:
            self.run(Path("mix.f32"))
        assert "ebur128=" in " ".join(caught.value.details["argv"])


# --- running ffmpeg


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def test_the_log_is_standard_error_and_standard_input_is_empty() -> None:
    program = "import sys; print('out'); assert sys.stdin.read() == ''; sys.stderr.buffer.write(b'caf\\xff\\xc3\\xa9')"
    assert run_ffmpeg(python(program), what="a test", cancelled=lambda: False) == "caf\ufffdé"


def test_ffmpeg_reads_nothing_that_is_typed_and_its_output_is_not_shown() -> None:
    program = (
        "import os, sys; sys.stderr.write(' '.join(os.readlink(f'/proc/self/fd/{at}') for at in (0, 1)))"
    )
    reader, writer = os.pipe()
    saved = os.dup(0), os.dup(1)
    try:
        os.dup2(reader, 0)
        os.dup2(writer, 1)
        seen = run_ffmpeg(python(program), what="a test", cancelled=lambda: False)
    finally:
        for at, descriptor in enumerate(saved):
            os.dup2(descriptor, at)
        for descriptor in (reader, writer, *saved):
            os.close(descriptor)
    assert seen == "/dev/null /dev/null"


def test_a_failure_carries_status_command_and_log() -> None:
    argv = python("import sys; print('why', file=sys.stderr); sys.exit(7)")
    with pytest.raises(SubprocessError, match="a test") as caught:
        run_ffmpeg(argv, what="a test", cancelled=lambda: False)
    assert "why" in str(caught.value)
    assert caught.value.details["argv"] == argv
    assert caught.value.details["returncode"] == 7


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(RenderingError, match=r"a test: /no/ffmpeg cannot be started: No such file") as caught:
        run_ffmpeg(["/no/ffmpeg", "-x"], what="a test", cancelled=lambda: False)
    assert caught.value.details["argv"] == ["/no/ffmpeg", "-x"]


def test_a_cancelled_run_is_killed_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(CancelledError, match="a test: cancelled"):
        run_ffmpeg(python("import time; time.sleep(60)"), what="a test", cancelled=lambda: True)
    assert time.monotonic() - began < 30


def test_cancellation_is_polled_and_a_run_that_is_not_cancelled_completes(tmp_path: Path) -> None:
    asked: list[float] = []

    def cancelled() -> bool:
        asked.append(time.monotonic())
        if len(asked) == 5:
            (tmp_path / "enough").touch()
        return False

    waits = f"import os, time\nwhile not os.path.exists({str(tmp_path / 'enough')!r}): time.sleep(0.01)"
    run_ffmpeg(python(waits), what="a test", cancelled=cancelled)
    assert len(asked) >= 5
    assert all(later - earlier > loudness.POLL_SECONDS / 2 for earlier, later in pairwise(asked))


def piped(program: str, **options: Any) -> str:
    """Run a program as ffmpeg is run with pipes."""
    settings: dict[str, Any] = {"what": "a test", "cancelled": lambda: False, "feed": None, "sink": None}
    return stream_ffmpeg(python(program), **(settings | options))


def test_a_program_with_pipes_is_fed_and_read_and_its_log_is_returned() -> None:
    echo = (
        "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); sys.stderr.buffer.write(b'caf\\xff')"
    )
    read: list[bytes] = []
    log = piped(echo, feed=lambda: iter([b"one ", b"two"]), sink=lambda pipe: read.append(pipe.read()))
    assert read == [b"one two"]
    assert log == "caf\ufffd"


def test_a_program_with_pipes_that_fails_says_why_even_if_its_feed_failed_too() -> None:
    def feed() -> Iterator[bytes]:
        yield b"x"
        raise ValueError("the feed's own fault")

    fails = "import sys; sys.stdin.read(); print('why', file=sys.stderr); sys.exit(7)"
    with pytest.raises(SubprocessError, match="why"):
        piped(fails, feed=feed)
    with pytest.raises(ValueError, match="the feed's own fault"):
        piped("import sys; sys.stdin.read()", feed=feed)


def test_a_program_that_does_not_end_with_its_feed_is_killed() -> None:
    def feed() -> Iterator[bytes]:
        yield b"x"
        raise ValueError("the feed's own fault")

    began = time.monotonic()
    with pytest.raises(ValueError, match="the feed's own fault"):
        piped("import time; time.sleep(60)", feed=feed)
    assert time.monotonic() - began < 30


def test_a_cancelled_program_with_pipes_is_killed_before_it_could_end_by_itself() -> None:
    caught: list[int] = []
    program = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
        "print('up', flush=True); sys.stdin.read(); print('left alone', flush=True)"
    )

    def sink(pipe: IO[bytes]) -> None:
        pipe.readline()
        caught.append(1)
        assert pipe.read() == b""

    def feed() -> Iterator[bytes]:
        while not ended:
            time.sleep(0.05)
            yield b"x"

    ended: list[int] = []
    began = time.monotonic()
    try:
        with pytest.raises(CancelledError, match="a test: cancelled"):
            piped(program, feed=feed, sink=sink, cancelled=lambda: bool(caught))
    finally:
        ended.append(1)
    assert time.monotonic() - began < 30  # the feed's buffer would be full after 200 s
