"""The command line as a user runs it: real processes, real signals, real messages."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.jobs import RESULT_FIELDS

COMMAND = [sys.executable, "-m", "video_pipeline.engine.cli.main"]
SMALL = ["--size", "180x320", "--fps", "24", "--preset", "ultrafast", "--crf", "28"]

STORY: dict[str, Any] = {
    "id": "cli-story",
    "title": "From the command line",
    "scenes": [
        {"scene_id": "one", "text": "One", "narration": "", "duration": 1.0},
        {"scene_id": "two", "text": "Two", "narration": "", "duration": 1.0},
    ],
}


def run(*arguments: str | Path, environment: Mapping[str, str] | None = None, **options: Any) -> Any:
    """Run the command and return what it did."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **(environment or {})},
        **options,
    )


@pytest.fixture
def story(tmp_path: Path) -> Path:
    return write(tmp_path / "in", STORY)


def write(folder: Path, data: Any, name: str = "story.json") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def scene(**fields: Any) -> dict[str, Any]:
    return {"title": "T", "scenes": [{"scene_id": "the_scene", "duration": 0.5, "narration": "", **fields}]}


# -- working --------------------------------------------------------------------------------------


def test_render_writes_the_video_and_says_where(story: Path, tmp_path: Path) -> None:
    done = run("render", story, "-o", tmp_path / "out/video.mp4", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "video.mp4: 1.50 s, 180x320 at 24 fps" in done.stdout
    assert (tmp_path / "out/video.mp4").stat().st_size > 1000


def test_json_is_one_object_a_line_and_ends_with_done(story: Path, tmp_path: Path) -> None:
    done = run("render", story, "-o", tmp_path / "out/video.mp4", "--json", *SMALL)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "done"
    assert events[-1]["status"] == "completed"
    told = ("event", "status", "output", "thumbnail", "subtitles", "metadata", "manifest")
    assert events[-1].keys() == {*told, *RESULT_FIELDS}
    paths = [events[-1][key] for key in ("output", "thumbnail", "metadata", "manifest")]
    files = sorted(Path(path) for path in (*paths, *events[-1]["subtitles"]))
    assert files == sorted((tmp_path / "out").iterdir())
    stages = {event["stage"] for event in events[:-1]}
    assert stages == {"assets", "render", "outputs"}
    assert done.stderr == ""


def test_quiet_prints_nothing(story: Path, tmp_path: Path) -> None:
    done = run("render", story, "-o", tmp_path / "video.mp4", "-q", *SMALL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_option_beats_the_environment_which_beats_the_file(story: Path, tmp_path: Path) -> None:
    config = write(
        tmp_path / "conf",
        "video_pipeline:\n  video: {fps: 25, preset: ultrafast}\n  storage: {output_path: /nowhere}\n",
        "c.yaml",
    )
    environment = {"VIDEO_OUTPUT_PATH": str(tmp_path / "from_environment")}
    done = run(
        "render",
        story,
        "--config",
        config,
        "--size",
        "180x320",
        "--fps",
        "30",
        "--json",
        environment=environment,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["output"] == str(tmp_path / "from_environment" / story.with_suffix(".mp4").name)
    assert last["video_info"]["fps"] == 30


def test_a_bar_is_shown_on_a_terminal(story: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, "render", str(story), "-o", str(tmp_path / "v.mp4"), *SMALL],
        stderr=slave,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    assert child.wait(timeout=60) == 0
    os.close(master)
    text = shown.decode("utf-8", "replace")
    assert "rendering" in text
    assert "frames" in text
    assert "fps" in text


def test_compile_prints_plan_graph_and_command(story: Path) -> None:
    plan = json.loads(run("compile", story, "--as", "plan", *SMALL).stdout)
    assert plan["frames"] == 36
    assert plan["transitions"] == [{"name": "fade", "from": "one", "frames": [12, 24]}]
    graph = run("compile", story, "--as", "graph", *SMALL).stdout
    assert "xfade=" in graph
    command = run("compile", story, "--as", "command", "-o", "x.mp4", *SMALL).stdout
    assert command.rstrip().endswith("x.mp4")
    assert "-filter_complex" in command


def test_doctor_says_what_works_and_why_not() -> None:
    done = run("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    encoders = {entry["name"]: entry for entry in found["encoders"]}
    assert encoders["libx264"]["works"]
    assert encoders["h264_nvenc"]["reason"]
    text = run("doctor").stdout
    assert "ready" in text
    assert "h264_nvenc" in text


@pytest.mark.parametrize("what", ["story", "config"])
def test_schema_is_json_schema(what: str) -> None:
    schema = json.loads(run("schema", what).stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_help_has_examples_for_every_command() -> None:
    assert "examples:" in run("--help").stdout
    for command in ("render", "preview", "compile", "schema"):
        assert "example:" in run(command, "--help").stdout


# -- wrong input ----------------------------------------------------------------------------------

WRONG = {
    "not JSON": ("{", r"not JSON"),
    "no title": ({"scenes": [{"scene_id": "a"}]}, "field 'title': is missing"),
    "unknown field": (scene(colur="red"), "field 'colur': unknown key (did you mean 'colour'?)"),
    "wrong type": (scene(text=5), "field 'text': got 5"),
    "NaN": (
        '{"title": "T", "scenes": [{"scene_id": "the_scene", "duration": NaN}]}',
        "field 'duration': got nan",
    ),
    "negative": (scene(duration=-2), "field 'duration': got -2; allowed: greater than 0"),
    "no scenes": ({"title": "T", "scenes": []}, "field 'scenes': got []; allowed: at least 1"),
    "transition": (scene(transition="swirl"), "got 'swirl'; unknown transition; allowed: cut, fade"),
    "effect": (scene(effects=["explode"]), "got 'explode'; unknown effect; allowed: ken_burns"),
    "font": (scene(text="x", font="No Such Font"), "field 'font'"),
    "colour": (scene(colour="blurple"), "field 'colour': got 'blurple'; unknown colour; allowed: a CSS name"),
    "too long a transition": (
        {
            "title": "T",
            "scenes": [
                {
                    "scene_id": "the_scene",
                    "duration": 1,
                    "narration": "",
                    "transition": {"name": "fade", "duration": 3},
                },
                {"scene_id": "other", "duration": 1, "narration": ""},
            ],
        },
        "field 'transition': 'fade' to scene 'other' (3.00 s) takes 3.00 s of a scene of 1.00 s",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_stories_are_refused_with_the_place_and_what_is_allowed(case: str, tmp_path: Path) -> None:
    data, message = WRONG[case]
    story = write(tmp_path / "in", data)
    done = run("render", story, "-o", tmp_path / "out.mp4", *SMALL)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "the_scene" in done.stderr or case in ("not JSON", "no title", "no scenes")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def bomb() -> bytes:
    """Return a PNG whose header says 30,000 x 30,000."""
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


BROKEN_PICTURES = {
    "missing": (None, "does not exist"),
    "zero bytes": (b"", "is empty (0 bytes)"),
    "text": (b"just some words", "is not a picture; allowed: JPEG, PNG, WebP"),
    "corrupt": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "picture"),
    "bomb": (bomb(), "30000 x 30000 is 900 megapixels; allowed: at most 200"),
}


@pytest.mark.parametrize("case", BROKEN_PICTURES)
def test_broken_pictures_are_errors_unless_the_policy_is_lenient(case: str, tmp_path: Path) -> None:
    data, message = BROKEN_PICTURES[case]
    story = write(tmp_path / "in", scene(image="picture.png"))
    if data is not None:
        (tmp_path / "in/picture.png").write_bytes(data)
    done = run("render", story, "-o", tmp_path / "out/v.mp4", *SMALL)
    assert done.returncode == 2
    assert f"error: {story}: scenes[0] (scene_id 'the_scene'): field 'image'" in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").iterdir())
    done = run("render", story, "-o", tmp_path / "out/v.mp4", "--lenient", *SMALL)
    assert done.returncode == 0
    assert message in done.stderr
    assert "a drawn picture is shown instead" in done.stderr
    assert (tmp_path / "out/v.mp4").exists()


FAULTS: dict[str, dict[str, Any]] = {
    "picture": {"scenes": [{"scene_id": "a", "image": "gone.png"}]},
    "clip": {"scenes": [{"scene_id": "a", "video": "empty.mp4"}]},
    "music": {"scenes": [{"scene_id": "a"}], "music": "gone.mp3"},
    "font": {"scenes": [{"scene_id": "a", "text": "x", "narration": "", "font": "gone.ttf"}]},
    "letters": {"content": "むかしむかし、あるところに。", "metadata": {"language": "ja"}},
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["preview", "compile"])
def test_a_preview_and_a_plan_have_the_policy_of_a_render(command: str, fault: str, tmp_path: Path) -> None:
    story = write(tmp_path, {"title": "T", **FAULTS[fault]})
    (tmp_path / "empty.mp4").touch()
    size = ("--size", "180x320")
    more = ("--at", "0", "-o", tmp_path / "frame.png") if command == "preview" else ()
    refused = run(command, story, *size, *more)
    assert (refused.returncode, refused.stderr.count("error: ")) == (2, 1)
    assert run(command, story, *size, *more, "--strict").returncode == 2
    drawn = run(command, story, *size, *more, "--lenient")
    assert drawn.returncode == 0, drawn.stderr
    assert refused.stderr.removeprefix(f"error: {story}: ").strip() in drawn.stderr


def test_options_override_the_policy_of_the_file(tmp_path: Path) -> None:
    story = write(tmp_path, {"title": "T", **FAULTS["picture"]})
    for policy, option, status in (
        ("lenient", "--strict", 2),
        ("strict", "--lenient", 0),
        ("lenient", None, 0),
    ):
        config = write(tmp_path, f"error_handling: {{policy: {policy}}}", "c.yaml")
        options = [option] if option else []
        done = run("compile", story, "--config", config, "--size", "180x320", *options)
        assert done.returncode == status, done.stderr


def test_under_the_strict_policy_every_warning_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    story = write(tmp_path / "in", scene(narration="Привет, мир.", duration=1.0))
    done = run("render", story, "-o", tmp_path / "out/v.mp4", "--strict", *SMALL)
    assert done.returncode == 2
    assert "error: error_handling.policy is strict, so warnings are errors:" in done.stderr
    assert "  scenes[0] (scene_id 'the_scene'): field 'narration': the voice speaks English" in done.stderr
    assert not list((tmp_path / "out").iterdir())
    quiet = write(tmp_path / "in", scene(duration=1.0))
    assert run("render", quiet, "-o", tmp_path / "out/v.mp4", "--strict", *SMALL).returncode == 0


def test_a_clip_without_video_is_refused(tmp_path: Path) -> None:
    story = write(tmp_path / "in", scene(video="sound.mp4"))
    import av

    with av.open(str(tmp_path / "in/sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        frame.sample_rate = 48000
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    done = run("render", story, "-o", tmp_path / "v.mp4", *SMALL)
    assert done.returncode == 2
    assert "field 'video'" in done.stderr
    assert "has no video stream" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder", "h264_nvenc"], "encoder 'h264_nvenc' is not usable here: "),
        (
            ["--encoder", "x265"],
            "video.codec: got 'x265'; allowed: 'auto', 'h264_nvenc', 'libx264', 'hevc_nvenc' or 'av1_nvenc'",
        ),
        (
            ["--compositor", "cuda"],
            "compositor 'cuda' is not usable here: ",
        ),
        (["--preset", "warp"], "video.preset: got 'warp'; allowed with libx264: ultrafast"),
        (["--size", "big"], "--size: got 'big'; allowed: WxH in pixels, such as 1080x1920"),
        (["--size", "181x320"], "both sides must be even"),
        (["--aspect", "3:2"], "video.default_aspect_ratio: got '3:2'"),
        (["--fps", "12"], "video.fps: got '12'; a frame rate from 24 to 60"),
        (["--crf", "99"], "video.crf: got 99.0; allowed: less than or equal to 51"),
        (["--bitrate", "fast"], "video.bitrate: got 'fast'"),
        (["--workers", "0"], "--workers: got 0; allowed: a whole number >= 1"),
        (["--config", "/nowhere/c.yaml"], "/nowhere/c.yaml: cannot be read"),
    ],
)
def test_wrong_options_are_refused(story: Path, tmp_path: Path, options: list[str], message: str) -> None:
    from video_pipeline.engine.render.encoders.choice import probe_encoder

    if options[1] == "h264_nvenc" and probe_encoder("h264_nvenc").works:
        pytest.skip("this machine has NVENC")
    done = run("render", story, "-o", tmp_path / "v.mp4", *options)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "v.mp4").exists()


def test_an_unwritable_output_folder_is_named(story: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    done = run("render", story, "-o", tmp_path / "file/v.mp4", *SMALL)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_events_with_json(tmp_path: Path) -> None:
    story = write(tmp_path / "in", scene(duration=-1))
    done = run("render", story, "-o", tmp_path / "v.mp4", "--json", *SMALL)
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "error"
    assert event["type"] == "StoryError"
    assert event["exit_status"] == 2
    assert "the_scene" in event["message"]


# -- interruptions --------------------------------------------------------------------------------


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False


@contextmanager
def long_render(tmp_path: Path, compositor: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Start a render that takes a while; yield it when its first frames are drawn."""
    picture = Image.effect_mandelbrot((900, 1600), (-2, -1.5, 1, 1.5), 40).convert("RGB")
    (tmp_path / "in").mkdir()
    picture.save(tmp_path / "in/p.png")
    scenes = [
        {"scene_id": f"s{number}", "image": "p.png", "duration": 20.0, "narration": ""} for number in range(4)
    ]
    story = write(tmp_path / "in", {"title": "T", "scenes": scenes})
    target = tmp_path / "out/v.mp4"
    command = [*COMMAND, "render", str(story), "-o", str(target), "--json", "--preset", "medium"]
    command += ["--compositor", compositor]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            event = json.loads(line)
            if event.get("stage") == "render" and event["done"] > 2:
                break
        try:
            yield child, target
        finally:
            child.kill()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("compositor", ["ffmpeg", "auto"])
def test_an_interrupted_render_leaves_nothing(
    tmp_path: Path, compositor: str, number: signal.Signals, status: int
) -> None:
    with long_render(tmp_path, compositor) as (child, target):
        programs = children_of(child.pid)
        assert programs or compositor == "auto"
        child.send_signal(number)
        started = time.monotonic()
        assert child.wait(timeout=20) == status
        assert time.monotonic() - started < 10
        assert child.stderr is not None
        assert child.stderr.read() == "interrupted; every output file is complete or unchanged\n"
    assert list(target.parent.iterdir()) == []
    assert not any(alive(pid) for pid in programs)


def opened_by_a_reader(pipe: Path, child: subprocess.Popen[str]) -> int:
    """Wait until a process opens a named pipe to read it; return a descriptor that keeps it waiting for data."""
    while child.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # no reader yet
            time.sleep(0.01)
    raise AssertionError(f"the command ended: {child.communicate()}")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a named pipe holds the command")
@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (["render", "STORY"], "; every output file is complete or unchanged"),
        (["preview", "STORY", "--at", "0"], "; the picture is complete or unchanged"),
        (["compile", "STORY"], ""),
        (["doctor"], ""),
        (["vacuum"], "; some old jobs may have been deleted"),
        (["keys", "node"], "; the change may have been made: see `video-pipeline keys list`"),
        (["submit", "STORY", "--connect", "tcp://127.0.0.1:9"], "; submitted jobs continue"),
    ],
)
def test_an_interrupted_command_says_what_it_leaves(
    tmp_path: Path, story: Path, arguments: list[str], left: str
) -> None:
    config = tmp_path / "config.yaml"
    os.mkfifo(config)
    command = [*COMMAND, *(str(story) if each == "STORY" else each for each in arguments)]
    with subprocess.Popen([*command, "--config", str(config)], stderr=subprocess.PIPE, text=True) as child:
        pipe = opened_by_a_reader(config, child)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
        os.close(pipe)
        assert (child.returncode, err) == (130, f"interrupted{left}\n")


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes through /proc")
@pytest.mark.parametrize("compositor", ["ffmpeg", "auto"])
def test_a_killed_render_leaves_no_video_and_the_next_one_sweeps_up(
    tmp_path: Path, story: Path, compositor: str
) -> None:
    work = tmp_path / "killed"
    work.mkdir()
    with long_render(work, compositor) as (child, target):
        programs = children_of(child.pid)
        assert programs or compositor == "auto"
        child.kill()
        child.wait(timeout=20)
    assert not target.exists()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in programs) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in programs)
    left = [path.name for path in target.parent.iterdir()]
    assert all(name.startswith(".staging-") for name in left)
    done = run("render", story, "-o", target, "-q", *SMALL)
    assert done.returncode == 0, done.stderr
    assert not [path for path in target.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("warm_cache", [True, False])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, story: Path, warm_cache: bool) -> None:
    def limit() -> None:
        # No file may grow past 40 kB: writing fails as it does on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    environment = {"CACHE_PATH": str(tmp_path / "cache")}
    if warm_cache:
        warm = run("render", story, "-o", tmp_path / "warm/v.mp4", "-q", *SMALL, environment=environment)
        assert warm.returncode == 0, warm.stderr
    done = run(
        "render", story, "-o", tmp_path / "out/v.mp4", *SMALL, environment=environment, preexec_fn=limit
    )
    assert done.returncode == 1, done.stderr
    assert "error:" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
