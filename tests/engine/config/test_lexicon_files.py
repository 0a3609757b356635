"""Lexicons in files of their own: what they may hold, and how errors name file and word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from video_pipeline.engine.config.lexicon_files import read_lexicon
from video_pipeline.engine.errors import ConfigError


def written(folder: Path, text: str, name: str = "words.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_words_are_read_from_yaml_and_json(tmp_path: Path) -> None:
    found = {"nike": "nykey", "Siobhán": "/ʃɪˈvɔːn/"}
    assert read_lexicon(written(tmp_path, "nike: nykey\nSiobhán: /ʃɪˈvɔːn/\n")) == found
    assert read_lexicon(written(tmp_path, '{"nike": "nykey", "Siobhán": "/ʃɪˈvɔːn/"}', "w.JSON")) == found


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nike: /naɪ%/", "lexicon.nike: .*'%' is no letter of the International Phonetic Alphabet"),
        ("nike: /naɪki", "one of them is missing"),
        ("nike: 7", "nike: got 7"),
        ("nike: ''", "nike"),
        ("nike: [a]", "nike"),
        ("'...': dots", "allowed as a word"),
        ("- nike", "got list; allowed: a mapping of words"),
        ("nike", "got str; allowed: a mapping of words"),
        ("", "got NoneType; allowed: a mapping of words"),
        ("a: {", "not YAML"),
        ("nike: a\nnike: b", "twice"),
    ],
)
def test_a_wrong_file_is_an_error_that_names_it_and_the_word(text: str, told: str, tmp_path: Path) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=f"^--lexicon: {re.escape(str(path))}:") as caught:
        read_lexicon(path)
    assert re.search(told, str(caught.value)), caught.value


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--lexicon: .*cannot be read: No such file"):
        read_lexicon(tmp_path / "none.yaml")
