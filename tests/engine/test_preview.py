"""One frame as a picture: identical to the video's frame, from the command line as a user runs it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.command import run
from tests.support.tolerances import SAME_AFTER_CODING_DB, SAME_PROXY_DB, Frames, assert_frames_equal, psnr_db
from tests.support.video import run_ffmpeg
from video_pipeline.engine.config.sections import Video

FRAMES_A_SECOND = 24
SIZE = ["--size", "180x320", "--fps", str(FRAMES_A_SECOND)]

STORY: dict[str, Any] = {
    "id": "preview-story",
    "title": "One frame",
    "scenes": [
        {"scene_id": "one", "text": "The first words", "narration": "", "duration": 1.0, "size": 90},
        {
            "scene_id": "two",
            "text": "The second",
            "narration": "",
            "duration": 1.0,
            "box": {"colour": "#102040"},
        },
    ],
}
FRAME_COUNT = 36


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("preview") / "story.json"
    path.write_text(json.dumps(STORY), encoding="utf-8")
    return path


def rgb(path: Path) -> Frames:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def frames_of(video: Path, size_px: tuple[int, int]) -> Frames:
    """Return every frame of a video as RGB, (frames, height, width, 3)."""
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    data = run_ffmpeg("-i", video, "-fps_mode", "passthrough", "-vf", "scale=in_color_matrix=bt709", *raw)
    return np.frombuffer(data, np.uint8).reshape(-1, size_px[1], size_px[0], 3)


# -- one frame ------------------------------------------------------------------------------------


def test_a_preview_is_the_frame_that_the_video_shows(story: Path, tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    done = run("render", story, "-o", video, *SIZE, "--preset", "veryfast", "--crf", "6", "-q")
    assert done.returncode == 0, done.stderr
    shown = frames_of(video, (180, 320))
    assert len(shown) == FRAME_COUNT
    # In the first scene with its caption, in the transition, and the last frame of all.
    for number, asked in ((10, ["--at", "0.43"]), (18, ["--frame", "18"]), (35, ["--at", "1.4999"])):
        done = run("preview", story, *asked, "-o", tmp_path / "frame.png", *SIZE)
        assert done.returncode == 0, done.stderr
        assert f"frame {number} of 36 at {number / 24:.3f} s, 180x320" in done.stdout
        drawn = rgb(tmp_path / "frame.png")
        assert_frames_equal(drawn[None], shown[number][None], min_psnr_db=SAME_AFTER_CODING_DB)
        assert psnr_db(drawn, shown[(number + 12) % FRAME_COUNT]) < SAME_AFTER_CODING_DB - 6


def test_a_preview_is_written_as_jpeg_by_its_name(story: Path, tmp_path: Path) -> None:
    done = run("preview", story, "--frame", "12", "-o", tmp_path / "deep/frame.jpg", *SIZE, "--json")
    event = json.loads(done.stdout.splitlines()[-1])
    assert (event["event"], event["frame"], event["frame_count"], event["size"]) == (
        "done",
        12,
        36,
        [180, 320],
    )
    assert event["seconds"] == 0.5
    with Image.open(tmp_path / "deep/frame.jpg") as picture:
        assert (picture.format, picture.size) == ("JPEG", (180, 320))


def test_a_preview_mixes_no_sound_and_leaves_nothing_but_the_picture(story: Path, tmp_path: Path) -> None:
    done = run("preview", story, "--at", "0", "-o", tmp_path / "frame.png", "-q", *SIZE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert os.listdir(tmp_path) == ["frame.png"]  # noqa: PTH208 - names


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["--at", "1.5"], "time 1.5 s: the video lasts 1.500 s, 36 frames; allowed: 0 to less than 1.500"),
        (["--at", "99"], "time 99 s: the video lasts 1.500 s"),
        (["--at", "-1"], "time -1 s: the video lasts 1.500 s"),
        (["--at", "soon"], "--at: got 'soon'; allowed: seconds, such as 3.2"),
        (["--at", "nan"], "--at: got 'nan'; allowed: seconds"),
        (["--frame", "36"], "frame 36: the video lasts 1.500 s, 36 frames; allowed: 0 to 35"),
        (["--frame", "-1"], "frame -1: the video lasts"),
        ([], "one of the arguments --at --frame is required"),
        (["--at", "0", "--frame", "0"], "not allowed with argument"),
    ],
)
def test_a_frame_that_is_not_there_is_wrong_input(
    asked: list[str], message: str, story: Path, tmp_path: Path
) -> None:
    done = run("preview", story, *asked, "-o", tmp_path / "frame.png", *SIZE)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "frame.png").exists()


@pytest.mark.parametrize("name", ["frame.gif", "frame"])
def test_a_picture_of_another_kind_is_wrong_input(name: str, story: Path, tmp_path: Path) -> None:
    done = run("preview", story, "--at", "0", "-o", tmp_path / name, *SIZE)
    assert done.returncode == 2
    assert "allowed: a name that ends in .png, .jpg, .jpeg" in done.stderr


def test_a_story_that_is_missing_is_wrong_input(tmp_path: Path) -> None:
    done = run("preview", tmp_path / "none.json", "--at", "0", "-o", tmp_path / "frame.png")
    assert done.returncode == 2
    assert "none.json" in done.stderr


# -- proxies --------------------------------------------------------------------------------------


def test_a_proxy_has_half_the_size_and_all_the_frames(story: Path, tmp_path: Path) -> None:
    done = run("render", story, "-o", tmp_path / "v.mp4", *SIZE, "--proxy", "--json")
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["video_info"]["resolution"] == [90, 160]
    assert last["video_info"]["frame_count"] == FRAME_COUNT
    manifest = json.loads((tmp_path / "v.manifest.json").read_text(encoding="utf-8"))
    assert manifest["proxy"] is True
    assert manifest["encoder"]["options"]["preset"] == "ultrafast"
    assert manifest["encoder"]["options"]["crf"] == "28"


def plan_of(story: Path, *options: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(run("compile", story, "--as", "plan", *options).stdout)
    return plan


def test_options_override_the_proxy_which_overrides_the_file(story: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "video_pipeline: {video: {profile: archive, crf: 17, refs: 4, size: [180, 320]}}", encoding="utf-8"
    )
    plain = plan_of(story, "--config", str(config))
    assert (plain["proxy"], plain["size"], plain["encoder"]["crf"]) == (False, [180, 320], "17")
    proxy = plan_of(story, "--config", str(config), "--proxy")
    assert (proxy["proxy"], proxy["size"], proxy["frames"]) == (True, [90, 160], plain["frames"])
    assert (proxy["encoder"]["preset"], proxy["encoder"]["crf"]) == ("ultrafast", "28")
    assert (plain["encoder"]["refs"], "refs" in proxy["encoder"], proxy["profile"]) == ("4", False, None)
    named = plan_of(story, "--config", str(config), "--proxy", "--profile", "archive")
    assert (named["size"], named["encoder"]["preset"], named["profile"]["name"]) == (
        [90, 160],
        "medium",
        "archive",
    )
    named = plan_of(story, "--config", str(config), "--proxy", "--preset", "veryfast", "--bitrate", "900k")
    assert (named["encoder"]["preset"], named["encoder"]["b"]) == ("veryfast", "900k")
    assert "crf" not in named["encoder"]


def test_an_odd_half_is_rounded_to_even() -> None:
    assert Video(size=(1080, 1350), proxy=True).canvas_px() == (540, 676)
    assert Video(size=(182, 320), proxy=True).canvas_px() == (92, 160)


def test_a_proxy_looks_like_the_video_made_smaller(story: Path, tmp_path: Path) -> None:
    # Small letters: positions are whole pixels of each frame.
    size = ["--size", "720x1280", "--fps", "24", "--captions", "block"]
    for name, proxy in (("whole", []), ("proxy", ["--proxy"])):
        done = run("preview", story, "--frame", "30", "-o", tmp_path / f"{name}.png", *size, *proxy)
        assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "whole.png") as whole:
        smaller = np.asarray(whole.resize((360, 640), Image.Resampling.BOX))
    proxy_frame = rgb(tmp_path / "proxy.png")
    assert proxy_frame.shape == smaller.shape
    assert psnr_db(proxy_frame, smaller) >= SAME_PROXY_DB


def test_every_compositor_draws_the_same_emoji_in_colour(tmp_path: Path) -> None:
    scene = {"scene_id": "a", "text": "🇩🇪", "size": 300, "text_position": "center", "animation": "none"}
    look = {"narration": "", "duration": 1, "effects": [], "stroke": False, "shadow": False}
    (tmp_path / "s.json").write_text(json.dumps({"title": "T", "scenes": [scene | look]}), encoding="utf-8")
    drawn = {}
    for compositor in ("native", "ffmpeg"):
        target = tmp_path / f"{compositor}.png"
        options = ("--size", "180x320", "--frame", "3", "--compositor", compositor, "-o", target)
        done = run("preview", tmp_path / "s.json", *options)
        assert done.returncode == 0, done.stderr
        assert "WARNING" not in done.stderr
        drawn[compositor] = rgb(target)
    for frame in drawn.values():
        assert ((frame[..., 0] > 180) & (frame[..., 1] < 80) & (frame[..., 2] < 80)).sum() > 100, "red"
        assert ((frame[..., 0] > 180) & (frame[..., 1] > 140) & (frame[..., 2] < 100)).sum() > 100, "gold"
    one, other = drawn.values()
    assert_frames_equal(one[None], other[None], min_psnr_db=SAME_AFTER_CODING_DB)


def test_a_preview_speaks_and_draws_only_the_scene_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))
    scenes = [
        {"scene_id": f"s{number}", "text": f"Scene number {number} of the story."} for number in range(30)
    ]
    data = {"title": "T", "metadata": {"language": "en"}, "scenes": scenes}
    (tmp_path / "story.json").write_text(json.dumps(data), encoding="utf-8")
    for name in ("a.png", "b.png"):
        done = run("preview", tmp_path / "story.json", "--at", "10", "-o", tmp_path / name, *SIZE)
        assert done.returncode == 0, done.stderr
        assert len(list((tmp_path / "cache" / "narration").rglob("*.wav"))) == 1
        # The scene's two views, that of a neighbour in a transition, and the one that stands in for the others.
        assert 1 <= len(list((tmp_path / "cache" / "pictures").rglob("*.png"))) <= 4
        assert "the narration of 29 scenes is not spoken yet, so their lengths are estimated" in done.stderr
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize(("option", "time", "status"), [("--strict", "0", 0), ("--lenient", "60", 2)])
def test_beyond_the_end_and_where_warnings_are_errors_every_scene_is_spoken(
    option: str, time: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))
    scenes = [{"scene_id": "a", "text": "One."}, {"scene_id": "b", "text": "Two."}]
    data = {"title": "T", "metadata": {"language": "en"}, "scenes": scenes}
    (tmp_path / "story.json").write_text(json.dumps(data), encoding="utf-8")
    done = run("preview", tmp_path / "story.json", "--at", time, "-o", tmp_path / "a.png", option, *SIZE)
    assert done.returncode == status, done.stderr
    assert len(list((tmp_path / "cache" / "narration").rglob("*.wav"))) == 2
    assert ("time 60 s: the video lasts " in done.stderr) == (status == 2)
