"""The command `validate`, and `render --for`, as programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.engine.publish.test_rules import a_video
from tests.support.jobs import tiny_story


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "video_pipeline", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


def test_reasons_are_printed_with_limit_remedy_and_source(tmp_path: Path) -> None:
    video = a_video(tmp_path / "clip.mp4", fps=20)
    done = run("validate", video, "--platform", "reels", "--platform", "shorts")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "Instagram Reels: does not fit (1 error)",
        "  error: fps: got 20; allowed: 23 to 60: set video.fps",
        "    https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-user/media "
        "(read 2026-09-01)",
        "YouTube Shorts: fits (1 warning)",
        "  warning: fps: got 20; allowed: 24 to 60: set video.fps",
        "    https://support.google.com/youtube/answer/1722171 (not read)",
    ]


def test_a_copy_that_fits_is_written_and_the_report_is_json(tmp_path: Path) -> None:
    video = a_video(tmp_path / "clip.mp4", options={})
    fitted = tmp_path / "fitted.mp4"
    done = run("validate", video, "--platform", "reels", "--fit", fitted, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "video": str(fitted),
        "platforms": {"reels": {"fits": True, "reasons": []}},
    }


def test_wrong_usage_is_refused(tmp_path: Path) -> None:
    video = a_video(tmp_path / "clip.mp4")
    for arguments, words in (
        (
            ("--platform", "myspace"),
            "platform: got 'myspace'; allowed: instagram, reels, shorts, stories, tiktok, youtube",
        ),
        (("--platform", "folder"), "platform: got 'folder'; it takes any video; allowed: instagram, reels"),
        (
            ("--platform", "reels", "--platform", "tiktok", "--fit", tmp_path / "f.mp4"),
            "--fit: needs one --platform",
        ),
    ):
        done = run("validate", video, *arguments)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr


def test_a_render_for_a_platform_fits_it_or_says_what_does_not(tmp_path: Path) -> None:
    story = tmp_path / "story.json"
    story.write_text(json.dumps(tiny_story("fits")))
    done = run("render", story, "-o", tmp_path / "out.mp4", "--for", "reels", "--json", "--size", "360x640")
    found = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, [each["rule"] for each in found["reasons"]]) == (1, ["duration"]), done.stderr
    done = run("render", story, "-o", tmp_path / "out.mp4", "--for", "youtube", "--json", "--size", "360x640")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["reasons"] == []
