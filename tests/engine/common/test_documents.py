"""Story and configuration files that cannot be parsed: the error names line, column and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from video_pipeline.engine.common.documents import DocumentError, read_document


def refusal(folder: Path, text: str, form: Literal["json", "yaml"]) -> str:
    path = folder / "file"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_document(path, form)
    return str(caught.value).removeprefix(f"{path}: not {form.upper()}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,}', "line 1, column "),
        ("{a: 1}", "line 1, column 2: a key in double quotes"),
        ('{"a":\n1 "b": 2}', "line 2, column 3: a ',' or the end of the list or object is expected here"),
        ('{"a" 1}', "line 1, column 6: a ':' is expected here, after the key"),
        ('{"a": 1} x', "line 1, column 10: the file must end here"),
        ('{"a": "x', "line 1, column 7: the quotes that begin here are not closed"),
        ('{"a": "\\q"}', "line 1, column 8: \\ before this letter is no escape"),
        ("", "line 1, column 1: a value is expected here"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice in one object"),
    ],
)
def test_broken_json_is_explained_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    found = refusal(tmp_path, text, "json")
    assert found.startswith(message)
    assert "Expecting" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c", "line 1, column 5: a ':' is not expected here; put text with ': ' in quotes"),
        ("a:\n\t- b", "line 2, column 1: a tab is not allowed here; indent with spaces"),
        ("a: @x", "line 1, column 4: text cannot begin with '@'; put it in quotes"),
        ("a: 'x\n\nb: 1", "line 1, column 4: the quotes that begin here are not closed"),
        ("- a\nb: 1", "line 2, column 1: this does not continue the lines above; check its indentation"),
        ("a: [1, 2\nb: 3", "line 2, column 2: a ',' or ']' is missing in a list that began with '['"),
        ("a: {b: 1\nc: 2", "line 2, column 2: a ',' or '}' is missing in an object that began with '{'"),
        ("a: *x", "line 1, column 4: *'x' has no anchor; put text that begins with * in quotes"),
        ("a: !foo 1", "line 1, column 4: the tag '!foo' is not supported"),
        ('a: "\\q"', "line 1, column 6: \\ before 'q' is no escape"),
        ("a: 2026-13-01", "line 1, column 4: '2026-13-01' is no date or time; put text in quotes"),
        ("a: !!int ''", "line 1, column 4: '' is no whole number; put text in quotes"),
        ("a: 1\n---\nb: 2", "line 2, column 1: the file holds a second document"),
        ("a: 1\na: 2", "line 2, column 1: the key 'a' is given twice in one object"),
        ("a: 1\nb: \x01", "line 2: the control character U+0001 is not allowed"),
        ("? [a]\n: 1", "line 1, column 3: a key must be text"),
    ],
)
def test_broken_yaml_is_explained_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    found = refusal(tmp_path, text, "yaml")
    assert found.startswith(message)
    assert "found" not in found
