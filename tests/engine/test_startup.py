"""The modules that a start imports: commands that only print import no drawing, validation or encoding."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "av",
    "numpy",
    "PIL",
    "pydantic",
    "yaml",
    "rich",
    "hibari",
    "icu4py",
    "uharfbuzz",
    "ffmpeg",
    "asyncio",
    "zmq",
    "msgpack",
    "sqlite3",
)

SCRIPT = """
import sys
from video_pipeline.engine.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == 0, ended.code
print("imported:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def imported_by(*arguments: str) -> set[str]:
    """Return the top-level modules that a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.rpartition("imported: ")[2].split())


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["render", "--help"], ["preview", "--help"], ["submit", "--help"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = imported_by(*arguments)
    assert "argparse" in modules
    assert modules.isdisjoint(HEAVY), sorted(modules.intersection(HEAVY))


def test_a_plan_imports_neither_yaml_nor_rich_nor_backgrounds_if_it_needs_none(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    story = tmp_path_factory.mktemp("startup") / "story.json"
    story.write_text(
        '{"title": "T", "scenes": [{"scene_id": "a", "narration": "", "duration": 1.0}]}', encoding="utf-8"
    )
    plan = ["compile", str(story), "--as", "plan", "--size", "180x320"]
    imported_by(*plan)  # draws the background into the cache
    modules = imported_by(*plan)
    assert "pydantic" in modules
    assert modules.isdisjoint({"yaml", "rich", "asyncio", "stopwordsiso", "hibari"})


def test_the_rules_of_spoken_text_are_not_compiled_before_a_text_is_spoken() -> None:
    script = "import sys, video_pipeline; video_pipeline.render_story; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    rules = "video_pipeline.engine.assets.speech.normalisation."
    assert f"{rules}normalise" in done.stdout.split()
    assert {f"{rules}{name}" for name in ("english", "european", "lexicon_rules")}.isdisjoint(
        done.stdout.split()
    )
