"""Wrong stories and unusable files on the command line, and the options that choose the error policy."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import SMALL, run, scene, write

WRONG = {
    "not JSON": ("{", r"not JSON"),
    "no title": ({"scenes": [{"scene_id": "a"}]}, "field 'title': is missing"),
    "unknown field": (scene(colur="red"), "field 'colur': unknown key (did you mean 'colour'?)"),
    "wrong type": (scene(text=5), "field 'text': got 5"),
    "NaN": (
        '{"title": "T", "scenes": [{"scene_id": "the_scene", "duration": NaN}]}',
        "field 'duration': got nan",
    ),
    "negative": (scene(duration=-2), "field 'duration': got -2; allowed: more than 0, at most 3600"),
    "no scenes": ({"title": "T", "scenes": []}, "field 'scenes': got []; allowed: 1 to 2000 items"),
    "transition": (scene(transition="swirl"), "got 'swirl'; unknown transition; allowed: cut, fade"),
    "effect": (scene(effects=["explode"]), "got 'explode'; unknown effect; allowed: ken_burns"),
    "font": (scene(text="x", font="No Such Font"), "field 'font'"),
    "colour": (
        scene(colour="blurple"),
        "field 'colour': got 'blurple'; unknown colour (did you mean 'purple'?); allowed: a CSS name",
    ),
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
        "field 'transition': the scene lasts 1.00 s, but 'fade' to scene 'other' takes 3.00 s",
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
    "letters": {"content": "ᎠᏂᎵ ᎠᏂ.", "metadata": {"language": "chr"}},
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
    assert (
        "  scenes[0] (scene_id 'the_scene'): field 'narration': no offline voice speaks the text"
        in done.stderr
    )
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
