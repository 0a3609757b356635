"""ComfyUI: workflows with placeholders, what the server says of faults, and a picture that was made meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.picture_setup import WORKFLOW, painting, painting_through
from tests.support.picture_vendors import ComfyUi
from video_pipeline.engine.assets.images.comfyui import filled_workflow, read_workflow
from video_pipeline.engine.errors import ConfigError, ImageGenerationError, ServiceError
from video_pipeline.engine.timeline import Still

VALUES = {"prompt": 'a "boat" with {{seed}}', "seed": 7, "width": 768}


def test_a_text_that_is_one_placeholder_takes_the_values_type_and_others_hold_it() -> None:
    given = {"a": "{{seed}}", "b": ["best, {{prompt}}, {{seed}}", 3], "c": "{{unknown}} {{", "d": None}
    assert filled_workflow(given, VALUES) == {
        "a": 7,
        "b": ['best, a "boat" with {{seed}}, 7', 3],
        "c": "{{unknown}} {{",
        "d": None,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read: No such file"),
        ("{", "is not JSON"),
        ("[1]", "is not a workflow in API format"),
        (json.dumps({"nodes": [], "links": []}), r"export it in ComfyUI with Export \(API\)"),
        (json.dumps({"6": {"class_type": "X", "inputs": {"text": "a boat"}}}), r"has no \{\{prompt\}\}"),
    ],
)
def test_a_file_that_is_no_workflow_is_said_to_be_that(text: str | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "workflow.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=rf"images\.services\.comfyui\.workflow: .*{told}"):
        read_workflow(path)


def test_without_a_workflow_the_service_is_not_set_up() -> None:
    with pytest.raises(ServiceError, match="comfyui: no workflow"):
        read_workflow(None)


def test_the_output_of_the_filled_workflow_is_fetched_and_no_preview(tmp_path: Path) -> None:
    with painting("comfyui", tmp_path) as run:
        run.paint()
        graph = json.loads(run.fake.worked[0].body)["prompt"]
        assert graph["3"]["inputs"] == {"seed": 7, "model": ["4", 0]}
        assert graph["5"]["inputs"] == {"width": 768, "height": 1344}
        assert graph["6"]["inputs"]["text"].startswith("best quality, Cinematic")
        assert "{{" not in json.dumps(graph)
        assert WORKFLOW["3"]["inputs"]["seed"] == "{{seed}}"


def vendor_of(run: Any) -> ComfyUi:
    assert isinstance(run.fake.vendor, ComfyUi)
    return run.fake.vendor


def test_a_workflow_that_fails_is_an_error_with_the_servers_words(tmp_path: Path) -> None:
    with painting("comfyui", tmp_path) as run:
        vendor_of(run).fails = "CUDA out of memory"
        with pytest.raises(ImageGenerationError, match="the workflow failed: CUDA out of memory"):
            run.paint()
        vendor_of(run).fails = ""
        assert isinstance(run.paint().shown, Still)


def test_a_placeholder_that_is_not_known_is_said_by_the_server(tmp_path: Path) -> None:
    with painting("comfyui", tmp_path) as run:
        text = json.dumps(WORKFLOW).replace("{{seed}}", "{{seeds}}")
        (tmp_path / "workflow.json").write_text(text)
        with pytest.raises(
            ImageGenerationError, match=r"failed validation; node 3: Failed to convert seed, \{\{seeds\}\}"
        ):
            run.paint()


def test_a_picture_that_the_server_made_for_a_killed_render_is_taken(tmp_path: Path) -> None:
    with painting("comfyui", tmp_path) as run:
        first = run.paint()
        for path in run.cached:
            path.unlink()  # as if the render had been killed before it fetched the picture
        again = painting_through(run.fake, tmp_path)
        assert again.paint() == first
        assert len(run.fake.worked) == 1
        for path in run.cached:
            path.unlink()
        vendor_of(run).done.clear()  # the server was started anew
        assert painting_through(run.fake, tmp_path).paint() == first
        assert len(run.fake.worked) == 2


def test_a_server_that_never_ends_is_given_up(tmp_path: Path) -> None:
    with painting("comfyui", tmp_path, timeout=2) as run:
        vendor_of(run).slow = 1000
        with pytest.raises(ImageGenerationError, match=r"no picture within 2 s \(images\.timeout\)"):
            run.paint()
        assert run.cached == []
