"""Whole renders through image services: killed and started again, previewed, disclosed, and without a secret."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT
from tests.support.picture_setup import PICTURE_ENVIRONMENT, image_services, set_picture_environment
from tests.support.picture_vendors import PICTURE_KEY, PICTURE_VENDORS, STOCK
from tests.support.samples import picture
from tests.support.service_fakes import ServiceFake, service_fake
from tests.support.waiting import wait_until
from video_pipeline.engine.assets.cache_folder import open_asset_cache
from video_pipeline.engine.assets.generate import gather_assets
from video_pipeline.engine.assets.models import StoryAssets
from video_pipeline.engine.assets.stills import check_png
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ImageGenerationError
from video_pipeline.engine.net.spending import PICTURES
from video_pipeline.engine.story import parse_story, story_scenes
from video_pipeline.engine.timeline import Footage

TEXTS = ("A boat leaves.", "A storm begins.", "The lamp is lit.", "They come home.")


def configuration(fake: ServiceFake, folder: Path, **images: Any) -> dict[str, Any]:
    services = image_services(fake, folder)
    for name, more in images.pop("services", {}).items():
        services[name] = {**services.get(name, {}), **more}
    given = {
        "service": fake.vendor.name,
        "parallel_requests": 1,
        "timeout": 60,
        "services": services,
        **images,
    }
    return {
        "images": given,
        "tts": {"service": "none"},
        "video": {"size": [216, 384], "fps": 24},
        "storage": {"cache_path": str(folder / "cache"), "output_path": str(folder / "out")},
        "node": {"state_path": str(folder / "state")},
        "scenes": {"default_duration": 1, "transition": "cut"},
    }


def story_of(texts: tuple[str, ...] = TEXTS, **fields: Any) -> dict[str, Any]:
    scenes = [{"scene_id": f"s{at}", "text": text, "duration": 1, **fields} for at, text in enumerate(texts)]
    return {"title": "T", "metadata": {"language": "en"}, "scenes": scenes}


def gathered(
    fake: ServiceFake, folder: Path, data: dict[str, Any] | None = None, **images: Any
) -> StoryAssets:
    config = load_config(configuration(fake, folder, **images), environ=False)
    story = parse_story(data or story_of())
    return gather_assets(story, story_scenes(story), config=config, cache=open_asset_cache(config))


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "video_pipeline", *arguments],
        cwd=ROOT,
        env={**os.environ, **PICTURE_ENVIRONMENT, "CACHE_PATH": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def written(fake: ServiceFake, folder: Path, **images: Any) -> tuple[str, ...]:
    """Write configuration and story; return the arguments of a render."""
    (folder / "config.json").write_text(json.dumps(configuration(fake, folder, **images)))
    (folder / "story.json").write_text(json.dumps(story_of()))
    out = folder / "out" / "video.mp4"
    return (
        "render",
        str(folder / "story.json"),
        "--config",
        str(folder / "config.json"),
        "-o",
        str(out),
        "-v",
    )


@pytest.mark.parametrize("name", ["stable_diffusion", "dalle"])
def test_a_render_that_is_killed_pays_again_only_for_what_was_under_way(name: str, tmp_path: Path) -> None:
    with service_fake(PICTURE_VENDORS[name]()) as fake:
        fake.faults.extend(["", "", "held"])
        arguments = written(fake, tmp_path)
        child = started(tmp_path, *arguments)
        wait_until(lambda: len(fake.worked) > 2 or child.poll() is not None, seconds=60)
        child.send_signal(signal.SIGKILL)
        told, _ = child.communicate()
        assert child.returncode == -signal.SIGKILL, told
        kept = [path for path in (tmp_path / "cache" / "answers").rglob("*.png") if path.name[0] != "."]
        assert len(kept) == 2
        for path in kept:
            check_png(path)  # raises if it is not whole
        fake.release()
        wait_until(lambda: fake.billed == 3, what="the end of the request that was under way")
        child = started(tmp_path, *arguments)
        told, _ = child.communicate(timeout=120)
        assert child.returncode == 0, told
        bodies = [asked.body for asked in fake.worked]
        assert len(bodies) == len(TEXTS) + 1
        assert bodies[2] == bodies[3]  # the one that was under way
        # What was counted covers all that the service did, and the killed request too.
        counted = json.loads((tmp_path / "state" / PICTURES.file).read_text()).popitem()[1][name]
        assert counted == fake.billed == 5


@pytest.mark.parametrize("name", ["stable_diffusion", "pixabay"])
def test_metadata_and_manifest_say_what_is_generated_and_who_made_the_rest_and_no_file_has_the_key(
    name: str, tmp_path: Path
) -> None:
    with service_fake(PICTURE_VENDORS[name]()) as fake:
        child = started(tmp_path, *written(fake, tmp_path))
        told, _ = child.communicate(timeout=120)
        assert child.returncode == 0, told
        metadata = json.loads((tmp_path / "out" / "video.metadata.json").read_text())
        pictures = json.loads((tmp_path / "out" / "video.manifest.json").read_text())["pictures"]
        assert list(pictures["services"]) == ["s0", "s1", "s2", "s3"]
        if name in STOCK:
            assert "generated_media" not in metadata
            assert metadata["credits"] == pictures["credits"]
            assert " on Pixabay: https://pixabay.com/photos/id-" in metadata["credits"][0]
            assert pictures["paid"] == []
        else:
            (media,) = metadata["generated_media"]
            assert (media["service"], media["model"]) == ("stable_diffusion", "core")
            assert media["scenes"] == ["s0", "s1", "s2", "s3"]
            assert media["digital_source_type"].endswith("trainedAlgorithmicMedia")
            assert "credits" not in metadata
            assert "A boat leaves." in pictures["services"]["s0"]["prompt"]
            assert pictures["services"]["s0"]["seed"] > 0
            assert pictures["paid"][0]["pictures"] == 4
            assert pictures["paid"][0]["usd"] == 0.12
        for path in [path for path in tmp_path.rglob("*") if path.is_file()]:
            assert PICTURE_KEY.encode() not in path.read_bytes(), path
        assert PICTURE_KEY not in told


def test_a_preview_pays_for_the_picture_that_it_shows_alone(tmp_path: Path) -> None:
    with service_fake(PICTURE_VENDORS["stable_diffusion"]()) as fake:
        _, story, *rest = written(fake, tmp_path)
        config = rest[1]
        preview = ("preview", story, "--at", "2.5", "--config", config, "-o", str(tmp_path / "frame.png"))
        child = started(tmp_path, *preview)
        told, _ = child.communicate(timeout=120)
        assert child.returncode == 0, told
        assert len(fake.worked) == 1
        assert b"The lamp is lit." in fake.worked[0].body


def test_an_edit_of_one_scene_pays_for_its_picture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(PICTURE_VENDORS["stable_diffusion"]()) as fake:
        gathered(fake, tmp_path)
        assert len(fake.worked) == 4
        gathered(fake, tmp_path, story_of(("A boat leaves.", "A calm begins.", *TEXTS[2:])))
        assert len(fake.worked) == 5


def test_requests_run_in_parallel_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(PICTURE_VENDORS["stable_diffusion"]()) as fake:
        fake.at_once, fake.pause = 3, 0.4  # a fourth one would come meanwhile
        texts = tuple(f"{text} {number}" for number in range(2) for text in TEXTS)
        gathered(fake, tmp_path, story_of(texts), parallel_requests=3)
        assert fake.busiest == 3


def test_a_scene_that_no_service_can_serve_is_drawn_with_a_warning_or_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    data = story_of(("A boat leaves.", "A weapon."))
    with service_fake(PICTURE_VENDORS["stable_diffusion"]()) as fake:
        made = gathered(fake, tmp_path, data)
        assert made.warnings == (
            "scenes[1] (scene_id 's1'): field 'image': stable_diffusion: 403 Forbidden: Your request was flagged; "
            "a picture is drawn instead",
        )
        assert list(made.origins) == ["s0"]
        with pytest.raises(ImageGenerationError, match=r"scenes\[1\] \(scene_id 's1'\): .*flagged"):
            gathered(fake, tmp_path, data, fallback_enabled=False)


def test_a_budget_ends_what_a_loop_spends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(PICTURE_VENDORS["stable_diffusion"]()) as fake:
        for number in range(4):
            made = gathered(fake, tmp_path, story_of((f"Render {number}.",)), max_pictures_per_day=2)
        assert fake.billed == 2
        assert "images.max_pictures_per_day (2)" in made.warnings[0]


@pytest.mark.parametrize("name", STOCK)
def test_a_stock_clip_is_a_scenes_silent_footage(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_picture_environment(monkeypatch)
    with service_fake(PICTURE_VENDORS[name]()) as fake:
        made = gathered(fake, tmp_path, services={name: {"media": "clips"}})
        assert all(isinstance(scene.picture, Footage) for scene in made.scenes)
        assert all(scene.footage_sound is None for scene in made.scenes)
        assert made.warnings == ()


def test_nothing_is_asked_for_a_scene_with_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_picture_environment(monkeypatch)
    (tmp_path / "own.jpg").write_bytes(picture())
    with service_fake(PICTURE_VENDORS["stable_diffusion"]()) as fake:
        made = gathered(fake, tmp_path, story_of(image=str(tmp_path / "own.jpg")))
        assert (fake.asked, made.origins, made.paid_pictures) == ([], {}, ())
