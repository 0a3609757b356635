"""Assets at URLs: checked when a job is submitted, fetched before it is rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.references import check, failing, local, story
from video_pipeline.engine.errors import AssetReferenceError, FetchError
from video_pipeline.engine.story.asset_fields import AssetKind


def test_urls_are_checked_when_they_are_submitted_and_fetched_once(root: Path) -> None:
    url = "https://example.com/a.jpg"
    found = check(
        story(
            {"image": url}, {"image": url}, {"video": "https://example.com/v"}, music="https://example.com/m"
        ),
        root,
    )
    assert found[0]["scenes"][0]["image"] == url
    asked: list[tuple[str, AssetKind]] = []

    def fetch(url: str, folder: Path, kind: AssetKind) -> Path:
        asked.append((url, kind))
        return folder / f"{len(asked)}"

    rendered = local(found, root, fetch)
    assert sorted(asked) == [
        ("https://example.com/a.jpg", "picture"),
        ("https://example.com/m", "sound"),
        ("https://example.com/v", "video"),
    ]
    assert rendered.story["scenes"][0]["image"] == rendered.story["scenes"][1]["image"]
    assert Path(rendered.story["scenes"][0]["image"]).is_absolute()


@pytest.mark.parametrize(
    "url", ["http://user:word@example.com/", "https://2130706433/", "http://example.com:25/"]
)
def test_a_url_that_is_not_allowed_is_refused_when_it_is_submitted(root: Path, url: str) -> None:
    with pytest.raises(AssetReferenceError, match="scene_id 's0'"):
        check(story({"image": url}), root)


def test_urls_are_refused_if_the_node_fetches_none(root: Path) -> None:
    with pytest.raises(AssetReferenceError, match="asset_urls"):
        check(story({"image": "https://example.com/a.jpg"}), root, asset_urls=False)
    with pytest.raises(AssetReferenceError, match="asset_urls"):
        check(story(), root, config={"scenes": {"text_font": "https://example.com/a"}}, asset_urls=False)


def test_a_temporary_failure_is_marked_as_such(root: Path) -> None:
    found = check(story({"image": "https://example.com/a"}), root)
    with pytest.raises(FetchError, match=r"scene_id 's0'.*no luck") as caught:
        local(found, root, failing("transient"))
    assert caught.value.kind == "transient"
    assert caught.value.details["permanent"] is False


def test_after_a_url_that_ends_the_attempt_no_other_is_fetched(root: Path) -> None:
    scenes = [{"image": f"https://example.com/{number}"} for number in range(40)]
    found = check(story(*scenes), root)
    asked: list[str] = []

    def fetch(url: str, folder: Path, kind: AssetKind) -> Path:
        asked.append(url)
        raise FetchError(f"{url}: no such page", url=url, kind="unusable")

    with pytest.raises(AssetReferenceError, match=r"scene_id 's[0-3]'.*no such page"):
        local(found, root, fetch)
    assert len(asked) <= 8


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"])
def test_a_url_with_an_address_that_is_not_public_is_refused_at_submit(root: Path, host: str) -> None:
    with pytest.raises(AssetReferenceError, match="is not a public address"):
        check(story({"image": f"http://{host}/a.jpg"}), root)
