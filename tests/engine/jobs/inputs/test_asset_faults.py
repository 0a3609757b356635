"""Broken and hostile assets and texts, through the real check of the server and a real worker.

Each job fails at once, for good, with an error that names the scene, or replaces the asset if its policy is lenient.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support import samples
from tests.support.audit import assert_sound
from tests.support.jobs import node_config, submit, turn_until_ended
from tests.support.origin import origin, reply
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.errors import AssetReferenceError, StoryError
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.inputs.references import check_references
from video_pipeline.engine.jobs.model import Job
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.story import parse_story

LENIENT = {"error_handling": {"policy": "lenient"}}
JOB_SECONDS = 120.0
PERMANENT = {"StoryError", "ConfigError", "AssetReferenceError", "InputError"}


class NodeWithAssets:
    """A running node and its folder of assets; jobs come in as through the server process."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.assets = folder / "assets"
        self.assets.mkdir()
        self.config = node_config(folder, cache=cache, node={"asset_roots": [str(self.assets)]})
        self.running = RunningNode(self.config)
        self.folders = Folders.of(self.config)
        self.jobs: list[str] = []

    def submit(
        self, data: Mapping[str, Any], config: Mapping[str, Any] | None = None, parts: tuple[bytes, ...] = ()
    ) -> str:
        """Check a job as the server process does, and queue it."""
        story, sections = check_references(
            data,
            config or {},
            node=self.config.node,
            parts=parts,
            inbox=self.folders.inbox,
            policy=job_config(self.config, config or {}).error_policy,
        )
        job_id = submit(self.running.ledger, story, config=sections)
        self.jobs.append(job_id)
        return job_id

    def render(
        self, data: Mapping[str, Any], config: Mapping[str, Any] | None = None, parts: tuple[bytes, ...] = ()
    ) -> Job:
        """Submit a job and return it when it has ended."""
        return turn_until_ended(self.running, self.submit(data, config, parts), seconds=JOB_SECONDS)

    def fails(self, data: Mapping[str, Any], config: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Submit a job that must fail at its first attempt, and return the reason."""
        job = self.render(data, config, **more)
        assert (job.status, job.attempts, job.fence) == ("failed", 1, 1), job
        assert job.error_type in PERMANENT
        assert job.log_tail
        return str(job.error_message)

    def replaces(self, data: Mapping[str, Any], config: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Submit a job with the lenient policy, which must be rendered; return its warnings."""
        job = self.render(data, {**(config or {}), **LENIENT}, **more)
        assert job.status == "completed", job
        assert job.result is not None
        return "\n".join(job.result["warnings"])


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, session_cache: Path) -> Iterator[NodeWithAssets]:
    node = NodeWithAssets(tmp_path_factory.mktemp("node"), session_cache)
    try:
        yield node
        assert node.running.dispatcher.running == 0
    finally:
        node.running.close()
    assert_sound(node.folders, node.jobs)


def story(**scene: Any) -> dict[str, Any]:
    quiet: dict[str, Any] = {"narration": "", "duration": 0.3, "transition": "cut"}
    return {
        "title": "A story",
        "metadata": {"language": "en"},
        "scenes": [{"scene_id": "good", **quiet}, {"scene_id": "bad", **quiet, **scene}],
    }


HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
JPEG = samples.picture(size_px=(400, 600))
BROKEN_PICTURES = {
    "truncated": JPEG[: len(JPEG) // 2],
    "only a head": JPEG[:20],
    "garbage after the head": JPEG[:400] + os.urandom(300),
    "empty": b"",
    "text": b"no picture at all",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "html": b"<!DOCTYPE html><title>404</title>",
    "a clip": samples.clip(),
    "3600 megapixels": samples.png_header(60_000, 60_000),
}


@pytest.mark.parametrize("name", BROKEN_PICTURES)
def test_a_broken_picture_fails_for_good_or_is_drawn(node: NodeWithAssets, name: str) -> None:
    path = node.assets / f"{name.replace(' ', '-')}.jpg"
    path.write_bytes(BROKEN_PICTURES[name])
    data = story(image=path.name)
    message = node.fails(data)
    assert "scenes[1] (scene_id 'bad'): field 'image'" in message
    warnings = node.replaces(data)
    assert "scenes[1] (scene_id 'bad'): field 'image'" in warnings
    assert "a drawn picture is shown instead" in warnings


@pytest.mark.parametrize(
    "words", ["No space left on device", "Read-only file system", "CUDA_ERROR", "NVENC session"]
)
def test_a_job_cannot_pass_its_fault_off_as_the_machines(node: NodeWithAssets, words: str) -> None:
    (node.assets / f"{words}.jpg").write_bytes(BROKEN_PICTURES["text"])
    assert words in node.fails(story(image=f"{words}.jpg"))


def test_a_broken_inline_picture_fails_for_good_or_is_drawn(node: NodeWithAssets) -> None:
    data = story(image="inline:0")
    for broken in ("truncated", "svg"):
        part = BROKEN_PICTURES[broken]
        assert "scene_id 'bad'" in node.fails(data, parts=(part,))
        assert "a drawn picture is shown instead" in node.replaces(data, parts=(part,))
    for hostile in ("empty", "text", "html", "a clip"):
        with pytest.raises(AssetReferenceError, match="scene_id 'bad'"):
            node.submit(data, parts=(BROKEN_PICTURES[hostile],))
        assert "a drawn picture is shown instead" in node.replaces(data, parts=(BROKEN_PICTURES[hostile],))


def test_a_picture_over_the_limit_is_refused_by_its_header(node: NodeWithAssets) -> None:
    (node.assets / "large.png").write_bytes(samples.bomb(10_001, 10_000))
    data = story(image="large.png")
    small = {"images": {"max_megapixels": 99}}
    message = node.fails(data, small)
    assert "10001 x 10000 is 100 megapixels; allowed: at most 99" in message
    assert "scene_id 'bad'" in message
    assert "100 megapixels" in node.replaces(data, small)


def test_a_picture_of_100_megapixels_under_the_limit_is_shown(node: NodeWithAssets) -> None:
    (node.assets / "bomb.png").write_bytes(samples.bomb(10_000, 10_000))
    assert (node.assets / "bomb.png").stat().st_size < 200_000
    assert "bad" not in node.replaces(story(image="bomb.png"))


@pytest.mark.parametrize("name", ["no samples", "0 bytes", "no sound", "playlist"])
def test_music_that_is_none_fails_for_good_or_is_left_out(node: NodeWithAssets, name: str) -> None:
    data = {
        "no samples": samples.empty_wav(),
        "0 bytes": b"",
        "no sound": samples.clip(),
        "playlist": HLS.format(url="file:///etc/passwd").encode(),
    }[name]
    path = node.assets / f"{name.replace(' ', '-')}.mp3"
    path.write_bytes(data)
    told = {**story(), "music": path.name}
    assert "field 'music'" in node.fails(told)
    assert "there is no music" in node.replaces(told)
    assert "audio.music" in node.fails(story(), {"audio": {"music": path.name}})


@pytest.mark.parametrize("name", ["HLS", "DASH", "ffconcat", "text that begins with G"])
def test_a_playlist_that_poses_as_an_asset_is_opened_nowhere(node: NodeWithAssets, name: str) -> None:
    with origin(reply(samples.clip())) as server:
        url = f"http://127.0.0.1:{server.port}/secret.ts"
        text = {
            "HLS": HLS.format(url=url),
            "DASH": f"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>{url}</BaseURL></MPD>",
            "ffconcat": f"ffconcat version 1.0\nfile '{url}'\n",
            "text that begins with G": f"GET {url}\n",
        }[name]
        stem = name.replace(" ", "-")
        for suffix in (".jpg", ".mp4", ".m3u8", ".ts"):
            (node.assets / f"{stem}{suffix}").write_text(text)
        assert "scene_id 'bad'" in node.fails(story(image=f"{stem}.jpg"))
        for suffix in (".mp4", ".m3u8", ".ts"):
            assert "scene_id 'bad'): field 'video'" in node.fails(story(video=f"{stem}{suffix}"))
        assert server.heads == []


def test_a_clip_that_is_broken_fails_for_good_or_is_drawn(node: NodeWithAssets) -> None:
    (node.assets / "cut.mp4").write_bytes(samples.clip()[:300])
    data = story(video="cut.mp4")
    assert "scene_id 'bad'): field 'video'" in node.fails(data)
    assert "a drawn picture is shown instead" in node.replaces(data)


def test_a_font_that_is_none_fails_for_good_or_is_replaced(node: NodeWithAssets) -> None:
    (node.assets / "none.ttf").write_bytes(b"\x00\x01\x00\x00" + os.urandom(500))
    data = story(text="Words.", font="none.ttf")
    assert "scene_id 'bad'): field 'font'" in node.fails(data)
    assert "the default font is used instead" in node.replaces(data)


def test_a_watermark_that_is_none_fails_for_good_or_is_left_out(node: NodeWithAssets) -> None:
    (node.assets / "none.png").write_bytes(BROKEN_PICTURES["truncated"])
    config = {"watermark": {"image": "none.png"}}
    assert node.fails(story(), config).startswith("watermark.image: ")
    assert "there is no watermark" in node.replaces(story(), config)


def test_a_file_deleted_before_the_render_fails_the_job_or_is_replaced(
    node: NodeWithAssets,
) -> None:
    for config, status in (({}, "failed"), (LENIENT, "completed")):
        victim = node.assets / "fleeting.jpg"
        victim.write_bytes(JPEG)
        job_id = node.submit(story(image="fleeting.jpg"), config)
        victim.unlink()
        job = turn_until_ended(node.running, job_id, seconds=JOB_SECONDS)
        assert (job.status, job.attempts) == (status, 1)
    assert "a drawn picture is shown instead" in node.replaces(story(image="never-there.jpg"))


def test_letters_that_no_font_has_fail_for_good_or_are_boxes(node: NodeWithAssets) -> None:
    data = story(text="ᎠᏂᎵ")
    message = node.fails(data)
    assert "scenes[1] (scene_id 'bad'): field 'text': no font here has Ꭰ Ꮒ Ꮅ (Cherokee)" in message
    assert "an empty box is drawn for each" in node.replaces(data)


def test_under_the_strict_policy_a_warning_fails_a_job_for_good(node: NodeWithAssets) -> None:
    data = story(narration="Привет, мир.")
    message = node.fails(data, {"error_handling": {"policy": "strict"}, "tts": {"service": "hibari"}})
    assert "error_handling.policy is strict" in message
    assert "field 'narration'" in message


def test_a_file_that_became_a_link_out_of_the_roots_fails_for_good(
    node: NodeWithAssets, tmp_path: Path
) -> None:
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    victim = node.assets / "victim.jpg"
    victim.write_bytes(JPEG)
    job_id = node.submit(story(image="victim.jpg"))
    victim.unlink()
    victim.symlink_to(tmp_path / "secret.jpg")
    job = turn_until_ended(node.running, job_id, seconds=JOB_SECONDS)
    assert (job.status, job.attempts, job.error_type) == ("failed", 1, "AssetReferenceError")
    assert "scenes[1] (scene_id 'bad'): field 'image'" in str(job.error_message)
    assert "leads out" in str(job.error_message)


def test_a_job_that_got_past_the_check_reads_nothing_outside_the_roots(
    node: NodeWithAssets, tmp_path: Path
) -> None:
    (tmp_path / "secret.jpg").write_bytes(JPEG)
    for name in (str(tmp_path / "secret.jpg"), "../secret.jpg", "inline:0", "inbox:" + "0" * 64 + ".jpg"):
        job_id = submit(node.running.ledger, story(image=name))
        node.jobs.append(job_id)
        job = turn_until_ended(node.running, job_id, seconds=JOB_SECONDS)
        assert (job.status, job.attempts, job.error_type) == ("failed", 1, "AssetReferenceError")
        assert "scene_id 'bad'" in str(job.error_message)


def refused_twice(node: NodeWithAssets, url: str) -> str:
    """Return the message with which a URL is refused at submit; a job that got past that check fails for good."""
    with pytest.raises(AssetReferenceError) as caught:
        node.submit(story(image=url))
    job_id = submit(node.running.ledger, story(image=url))
    node.jobs.append(job_id)
    job = turn_until_ended(node.running, job_id, seconds=JOB_SECONDS)
    assert (job.status, job.attempts, job.error_type) == ("failed", 1, "AssetReferenceError")
    assert str(caught.value) in str(job.error_message)
    return str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_url_of_this_machine_fails_for_good_and_is_not_asked(node: NodeWithAssets, host: str) -> None:
    with origin(reply(JPEG)) as server:
        url = f"http://{host}:{server.port}/a.jpg"
        message = node.fails(story(image=url)) if host == "localhost" else refused_twice(node, url)
        assert server.heads == []
    assert "scenes[1] (scene_id 'bad'): field 'image'" in message
    assert (
        "addresses of the public internet" if host == "localhost" else "is not a public address"
    ) in message


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://192.168.1.1:8080/"]
)
def test_a_url_of_a_private_network_fails_for_good_at_once(node: NodeWithAssets, url: str) -> None:
    socket.setdefaulttimeout(None)
    assert "is not a public address" in refused_twice(node, url)


def test_ids_with_paths_in_them_are_no_stories(node: NodeWithAssets) -> None:
    for name in ("../up", "/etc/x", "a/b", "a\\b", ".hidden", "..", "", "a\0b", "a b", "é", "x" * 129, "-rf"):
        with pytest.raises(StoryError, match="'id'"):
            node.submit({**story(), "id": name})
        with pytest.raises(StoryError, match="scene_id"):
            node.submit({"title": "x", "scenes": [{"scene_id": name}]})
    assert not [path for path in node.folders.output.parent.iterdir() if path.name == "up"]


HOSTILE_TEXTS = (
    "%{pts} %{eif:1:d} %{localtime}",
    "':x=0:y=0:textfile=/etc/passwd",
    "\\'; drop table jobs; --",
    "[in]drawtext=text=x[out];movie=/etc/passwd",
    "$(touch /tmp/x) `id` ${HOME}",
    "a\tb\nc\r\nd\x0be\x00f\x1b[31mg",
    "\u202eright to left\u202c \u2066\u2069 \u200b\u200d\ufeff",
    "Z" + "\u0335\u0321\u0340" * 200,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 50,
    "\U000e0001\U000e007f \ufffe \uffff \U0010ffff",
    "W" * 3000,
    "\ufdfd" * 300,
)


@pytest.mark.parametrize("compositor", ["native", "ffmpeg"])
def test_hostile_text_is_only_text(node: NodeWithAssets, compositor: str) -> None:
    data = {
        "title": "'; $(touch /tmp/x) %{pts} [x] \\",
        "content": "",
        "metadata": {"language": "en", "genre": "../../etc", "author": HOSTILE_TEXTS[3]},
        "scenes": [
            {"scene_id": f"s{number}", "text": text, "narration": "", "duration": 0.3, "transition": "cut"}
            for number, text in enumerate(HOSTILE_TEXTS)
        ],
    }
    parse_story(data)
    job = node.render(data, {"video": {"compositor": compositor}})
    assert job.status == "completed", job
    assert job.result is not None
    with av.open(str(job.result["video_path"])) as container:
        assert container.metadata["title"] == data["title"]
        assert sum(1 for _ in container.decode(video=0)) == len(HOSTILE_TEXTS) * 7


def test_a_text_that_is_no_unicode_is_no_story(node: NodeWithAssets) -> None:
    for field in ("text", "narration", "image"):
        with pytest.raises(StoryError, match="valid Unicode"):
            node.submit(story(**{field: "a\ud800"}))


def test_after_all_of_that_the_node_renders_as_before(node: NodeWithAssets) -> None:
    (node.assets / "good.jpg").write_bytes(JPEG)
    (node.assets / "good.wav").write_bytes(samples.sound())
    samples.font_at(node.assets / "good.ttf")
    data = {**story(image="good.jpg", text="Words.", font="good.ttf"), "music": "good.wav"}
    assert node.replaces(data, {"watermark": {"image": "good.jpg"}}) == ""
    parts = (JPEG, samples.clip(), samples.sound(".flac"))
    data = {**story(image="inline:0"), "music": "inline:2"}
    data["scenes"][0]["video"] = "inline:1"
    assert node.replaces(data, {"watermark": {"image": "inline:0"}}, parts=parts) == ""
    assert list(node.folders.works.iterdir()) == []
