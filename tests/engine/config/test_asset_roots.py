"""What is said of folders of `node.asset_roots` in which no file can be opened."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.other_user import IS_ROOT, without_root
from video_pipeline.engine.config import load_config


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("closed", "Permission denied"),
        ("closed/inside", "Permission denied"),
        ("a file", "is not a folder"),
        ("none", "is not a folder"),
        ("x" * 300, "File name too long"),
        ("nul\0", "is not a folder"),
    ],
)
def test_a_folder_of_assets_that_cannot_be_used_is_told_with_the_reason(name: str, reason: str) -> None:
    with TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        Path(made, "a file").touch()
        Path(made, "open").mkdir()
        Path(made, "closed", "inside").mkdir(parents=True)
        Path(made, "closed").chmod(0o700 if IS_ROOT else 0)
        node = load_config({"node": {"asset_roots": [f"{made}/open", f"{made}/{name}"]}}, environ=False).node
        with without_root():
            found = node.missing_asset_roots()
        Path(made, "closed").chmod(0o755)
    assert [line.split(";")[0] for line in found] == [f"node.asset_roots: {made}/{name}: {reason}"]


def test_a_missing_folder_of_assets_that_is_relative_is_told_with_the_whole_path() -> None:
    node = load_config({"node": {"asset_roots": [".", "no-such-folder"]}}, environ=False).node
    (line,) = node.missing_asset_roots()
    assert f"{Path.cwd()}/no-such-folder: is not a folder" in line
