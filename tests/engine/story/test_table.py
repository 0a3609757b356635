"""Tables of a batch are read as written, and a fault names file, row and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.story.table import read_table


def table(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def values(path: Path) -> list[dict[str, Any]]:
    return [row.values for row in read_table(path)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "city,fact\nParis,old\n\nRome,\n"),
        ("t.csv", "city,fact\r\nParis,old\r\n , \r\nRome\r\n"),
        ("t.csv", "\ufeffcity;fact\nParis;old\nRome;\n"),
        ("t.csv", "sep=;\r\ncity;fact\r\nParis;old\r\nRome;\r\n"),
        ("t.csv", "\ufeffSEP=,\ncity,fact\nParis,old\nRome,\n"),
        ("t.csv", '"sep=|"\ncity|fact\nParis|old\nRome|\n'),
        ("t.csv", "sep=;;\ncity;fact\nParis;old\nRome;\n"),
        ("t.csv", "sep=\t\ncity\tfact\nParis\told\nRome\n"),
        ("t.tsv", "city\tfact\nParis\told\nRome\t\n"),
        ("t.jsonl", '{"city": "Paris", "fact": "old"}\n\n{"city": "Rome", "fact": null}\n'),
        ("t.ndjson", '{"city": "Paris", "fact": "old"}\n{"city": "Rome"}'),
    ],
)
def test_each_form_gives_the_same_rows_without_empty_values(name: str, text: str, tmp_path: Path) -> None:
    assert values(table(tmp_path, text, name)) == [{"city": "Paris", "fact": "old"}, {"city": "Rome"}]


def test_quoted_cells_keep_separators_quotes_and_lines_and_rows_know_their_line(tmp_path: Path) -> None:
    rows = read_table(table(tmp_path, 'a,b\n"x, ""y""","two\nlines"\nz,1\n'))
    assert rows[0].values == {"a": 'x, "y"', "b": "two\nlines"}
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 4)]


def test_rows_after_a_line_that_names_the_separator_know_their_line(tmp_path: Path) -> None:
    rows = read_table(table(tmp_path, 'sep=;\na;b\n"1;2";x, y\n3;4\n'))
    assert [(row.values, row.number, row.line) for row in rows] == [
        ({"a": "1;2", "b": "x, y"}, 1, 3),
        ({"a": "3", "b": "4"}, 2, 4),
    ]


def test_cells_keep_unusual_line_separators(tmp_path: Path) -> None:
    assert values(table(tmp_path, "a,b\nx\u2028y,z\x0cw\n")) == [{"a": "x\u2028y", "b": "z\x0cw"}]


def test_json_lines_keep_types_and_unusual_line_separators(tmp_path: Path) -> None:
    path = table(tmp_path, '{"n": 1.5, "on": true, "list": [1], "text": "a\u2028b"}\n', "t.jsonl")
    assert values(path) == [{"n": 1.5, "on": True, "list": [1], "text": "a\u2028b"}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "t.txt",
            "a\n1\n",
            r"t\.txt: got '\.txt'; allowed: a table ending in \.csv, \.tsv, \.jsonl, \.ndjson",
        ),
        ("t.csv", "", r"t\.csv: has no rows"),
        ("t.csv", "a,b\n", r"t\.csv: has no rows"),
        ("t.csv", "a,,b\n1,2,3\n", r"column 2 has no name"),
        ("t.csv", "a,b,a\n1,2,3\n", r"column 'a' is there twice"),
        (
            "t.csv",
            "sep=x\na,b\n",
            r"t\.csv, line 1: got 'sep=x'; allowed: sep= and a comma, semicolon, bar or",
        ),
        ("t.csv", "sep=\na,b\n", r"line 1: got 'sep='; allowed: sep="),
        ("t.csv", "sep=;\n", r"has no rows"),
        ("t.csv", "a,b\n1,2\n1,2,3\n", r"row 2 \(line 3\): has 3 cells; allowed: at most 2"),
        ("t.csv", 'a,b\n"1,2\n', r"not CSV"),
        ("t.csv", b"a\n\xff\n", r"not UTF-8"),
        ("t.jsonl", '{"a": 1}\n{"a": \n', r"row 2 \(line 2\): not JSON"),
        ("t.jsonl", "\n[1]\n", r"row 1 \(line 2\): got list; allowed: an object"),
        ("t.jsonl", '{"a": 1, "a": 2}\n', r"row 1 \(line 1\): .*'a'"),
    ],
)
def test_a_wrong_table_is_told_with_its_row(
    name: str, text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        read_table(table(tmp_path, text, name))


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
