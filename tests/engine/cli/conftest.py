"""A story file for the tests of this package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import STORY, write


@pytest.fixture
def story(tmp_path: Path) -> Path:
    return write(tmp_path / "in", STORY)
