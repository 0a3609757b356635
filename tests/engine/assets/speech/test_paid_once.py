"""Whole renders through services: killed and started again, in parallel, and no secret in anything that is written."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.paths import ROOT
from tests.support.service_fakes import ServiceFake, service_fake
from tests.support.sounds import noise, write_wav
from tests.support.speech_setup import ENVIRONMENT, SECRETS, endpoint_keys, set_environment
from tests.support.speech_vendors import VENDORS
from tests.support.waiting import wait_until
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.assets.generate import gather_assets
from video_pipeline.engine.assets.models import StoryAssets
from video_pipeline.engine.assets.speech.service import check_wav
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.net.spending import COUNT_FILE
from video_pipeline.engine.story import parse_story, story_scenes

SCENES = [
    f"Scene {word} is spoken by a service, and it is not short." for word in ("one", "two", "three", "four")
]


def configuration(fake: ServiceFake, folder: Path, **tts: Any) -> dict[str, Any]:
    given = {
        "service": fake.vendor.name,
        "services": endpoint_keys(fake),
        "parallel_requests": 1,
        "timeout": 60,
        **tts,
    }
    return {
        "tts": given,
        "video": {"size": [216, 384], "fps": 24},
        "storage": {"cache_path": str(folder / "cache"), "output_path": str(folder / "out")},
        "node": {"state_path": str(folder / "state")},
        "scenes": {"default_duration": 1},
    }


def written_story(folder: Path, texts: list[str]) -> Path:
    path = folder / "story.json"
    path.write_text(
        json.dumps({"title": "T", "metadata": {"language": "en"}, "scenes": scenes_with(folder, texts)})
    )
    return path


def scenes_with(folder: Path, texts: list[str]) -> list[dict[str, str]]:
    """Return scenes of one small picture, so that only speech takes time."""
    picture = folder / "small.png"
    if not picture.exists():
        Image.new("RGB", (32, 32), "navy").save(picture)
    return [{"scene_id": f"s{at}", "text": text, "image": str(picture)} for at, text in enumerate(texts)]


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "video_pipeline", *arguments],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, "CACHE_PATH": str(folder / "cache")},  # it goes before the file
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("name", ["openai_compatible", "amazon_polly"])
def test_a_render_that_is_killed_pays_again_only_for_what_was_under_way(name: str, tmp_path: Path) -> None:
    with service_fake(VENDORS[name]()) as fake:
        requests = 2 if name == "amazon_polly" else 1  # of each scene
        fake.faults.extend([*[""] * 2 * requests, "held"])
        config = tmp_path / "config.json"
        config.write_text(json.dumps(configuration(fake, tmp_path, services={**endpoint_keys(fake)})))
        story = written_story(tmp_path, SCENES)
        arguments = (
            "preview",
            "--strict",  # speaks every scene
            str(story),
            "--at",
            "0",
            "--config",
            str(config),
            "-o",
            str(tmp_path / "frame.png"),
        )
        child = started(tmp_path, *arguments)
        wait_until(lambda: len(fake.worked) > 2 * requests or child.poll() is not None, seconds=60)
        child.send_signal(signal.SIGKILL)
        told, _ = child.communicate()
        assert child.returncode == -signal.SIGKILL, told
        assert len(fake.worked) >= 2 * requests + 1
        kept = [path for path in (tmp_path / "cache").rglob("*.wav") if not path.name.startswith(".partial-")]
        assert kept
        for path in kept:
            check_wav(path)  # raises if it is not whole
        under_way = json.loads(fake.worked[-1].body)
        billed = fake.billed
        fake.release()
        wait_until(lambda: fake.billed > billed, what="the end of the request that was under way")
        child = started(tmp_path, *arguments)
        told, _ = child.communicate(timeout=120)
        assert child.returncode == 0, told
        bodies = [asked.body for asked in fake.worked]
        again = {body for body in bodies if bodies.count(body) > 1}
        text = under_way.get("Text", under_way.get("input"))
        assert {json.loads(body).get("Text", json.loads(body).get("input")) for body in again} <= {text}
        assert len(bodies) <= len(SCENES) * requests + requests
        # What was counted covers all that the service did, and the killed request too.
        counted = json.loads((tmp_path / "state" / COUNT_FILE).read_text()).popitem()[1][name]
        assert counted >= fake.billed


@pytest.mark.parametrize("name", sorted(set(VENDORS) - {"piper"}))
def test_no_secret_is_in_anything_that_a_render_writes(name: str, tmp_path: Path) -> None:
    with service_fake(VENDORS[name]()) as fake:
        fake.faults.extend(["429 after 0", "", "", "key"])
        config = tmp_path / "config.json"
        config.write_text(json.dumps(configuration(fake, tmp_path, max_retries=1, fallback=[])))
        story = written_story(tmp_path, [*SCENES[:2], "The last."])
        out = tmp_path / "out" / "video.mp4"
        child = started(tmp_path, "render", str(story), "-v", "--config", str(config), "-o", str(out))
        told, _ = child.communicate(timeout=120)
        assert child.returncode == 0, told
        manifest = json.loads((tmp_path / "out" / "video.manifest.json").read_text())
        assert {voice["service"] for voice in manifest["narration"]["voices"].values()} == {name}
        paid = manifest["narration"]["paid"][0]
        assert paid["service"] == name
        assert paid["characters"] >= fake.billed > 0
        assert any("the scene is silent" in warning for warning in manifest["warnings"])
        seen = 0
        assert list((tmp_path / "cache" / "speech").rglob("*.wav"))
        for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
            data = path.read_bytes()
            seen += 1
            for secret in SECRETS:
                assert secret.encode() not in data, path
        assert seen > 10
        assert not any(secret in told for secret in SECRETS)


def gathered(fake: ServiceFake, folder: Path, texts: list[str], **tts: Any) -> Any:
    config = load_config(configuration(fake, folder, **tts), environ=False)
    data = {"title": "T", "metadata": {"language": "en"}, "scenes": scenes_with(folder, texts)}
    story = parse_story(data)
    return gather_assets(story, story_scenes(story), config=config, cache=open_asset_cache(config))


def test_requests_run_in_parallel_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_environment(monkeypatch)
    with service_fake(VENDORS["openai_compatible"]()) as fake:
        fake.at_once, fake.pause = 3, 0.3  # a fourth one would come meanwhile
        texts = [f"{text} {index}" for index in range(3) for text in SCENES]
        assets = gathered(fake, tmp_path, texts, parallel_requests=3)
        assert fake.busiest == 3
        assert {scene.spoken_by.service for scene in assets.scenes} == {"openai_compatible"}


def test_a_budget_ends_what_a_loop_spends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_environment(monkeypatch)
    caplog.set_level(logging.DEBUG)
    with service_fake(VENDORS["openai_compatible"]()) as fake:
        for number in range(8):
            gathered(fake, tmp_path, [f"Render {number} of a loop."], max_characters_per_day=100)
        assert 50 < fake.billed <= 100
        assets = gathered(
            fake,
            tmp_path,
            ["One more render of a loop that does not end."],
            max_characters_per_day=100,
            fallback=[],
        )
        assert "tts.max_characters_per_day (100)" in assets.warnings[0]
        assert assets.scenes[0].extended
    assert not any(secret in caplog.text for secret in SECRETS)


def test_a_wrong_voice_ends_a_render_whatever_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)
    with (
        service_fake(VENDORS["amazon_polly"]()) as fake,
        pytest.raises(
            ConfigError,
            match=r"tts\.voice: got 'Joana' \(did you mean 'Joanna'\?\); allowed for amazon_polly: ",
        ),
    ):
        gathered(fake, tmp_path, SCENES[:1], voice="Joana")


def test_nothing_is_paid_for_a_recorded_scene_or_one_that_a_preview_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_environment(monkeypatch)
    write_wav(tmp_path / "said.wav", noise(2, 0.02, 1, 16_000), 16_000)
    with service_fake(VENDORS["openai_compatible"]()) as fake:
        scenes = [
            {**scene, "narration_audio": name} if name else scene
            for scene, name in zip(
                scenes_with(tmp_path, SCENES[:3]), ("said.wav", "gone.wav", None), strict=True
            )
        ]
        story = parse_story({"title": "T", "metadata": {"language": "en"}, "scenes": scenes})
        config = load_config(
            {**configuration(fake, tmp_path), "error_handling": {"policy": "lenient"}}, environ=False
        )
        cache = open_asset_cache(config)

        def assets_of(**options: Any) -> StoryAssets:
            return gather_assets(
                story, story_scenes(story), config=config, cache=cache, base=tmp_path, **options
            )

        assert assets_of(speak=()).unspoken == {1, 2}
        assert (fake.asked, assets_of(speak=()).paid) == ([], ())
        assert assets_of(speak=(2,)).unspoken == {1}
        assert len(fake.worked) == 1
        made = assets_of()
        assert len(fake.worked) == 2
        assert made.unspoken == frozenset()
        by = [scene.spoken_by.service if scene.spoken_by else None for scene in made.scenes]
        assert by == [None, "openai_compatible", "openai_compatible"]
        assert "gone.wav" in made.warnings[0]
        assert made.paid[0]["characters"] == len(SCENES[1])


def test_what_a_service_lacks_is_not_told_if_every_scene_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AZURE_SPEECH_KEY", raising=False)
    write_wav(tmp_path / "said.wav", noise(2, 0.02, 1, 16_000), 16_000)
    (scene,) = scenes_with(tmp_path, SCENES[:1])
    config = load_config(
        {"tts": {"service": "azure_speech"}, "storage": {"cache_path": str(tmp_path / "cache")}},
        environ=False,
    )
    for fields, warned in (({"narration_audio": "said.wav"}, False), ({}, True)):
        data = {"title": "T", "metadata": {"language": "en"}, "scenes": [{**scene, **fields}]}
        story = parse_story(data)
        made = gather_assets(
            story, story_scenes(story), config=config, cache=open_asset_cache(config), base=tmp_path
        )
        assert any("AZURE_SPEECH_KEY" in warning for warning in made.warnings) == warned
