"""3D LUTs: what is read from a .cube file, and the line that an error names."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from video_pipeline.engine.assets.cube import cube_text, identity, load_lut, mixed, parse_cube

ROWS = [f"{red} {green} {blue}" for blue in (0, 1) for green in (0, 1) for red in (0, 1)]
PLAIN = "\n".join(["LUT_3D_SIZE 2", *ROWS]) + "\n"


def test_red_changes_fastest() -> None:
    assert np.array_equal(parse_cube(PLAIN), identity(2))


def test_comments_a_title_and_the_usual_ranges_are_read() -> None:
    head = '\ufeff# made by a program\nTITLE "x"\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 1.0 1 1\nLUT_3D_INPUT_RANGE 0 1\n\n'
    assert np.array_equal(parse_cube(head + PLAIN.replace("\n", " \r\n")), identity(2))


def test_values_beyond_a_picture_s_are_clipped() -> None:
    table = parse_cube(PLAIN.replace("1 1 1", "1.5 1e30 1").replace("0 0 0", "-0.25 0 0"))
    assert np.array_equal(table, identity(2))


def test_the_strength_lies_between_the_own_colours_and_the_whole_grade() -> None:
    table = 1 - identity(5)
    assert np.allclose(mixed(table, 0), identity(5))
    assert np.allclose(mixed(table, 1), table)
    assert np.allclose(mixed(table, 0.5), 0.5)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    table = np.random.default_rng(3).random((4, 4, 4, 3))
    file = tmp_path / "t.cube"
    file.write_text(cube_text(table))
    assert np.allclose(load_lut(file), table, atol=6e-7)
    assert np.allclose(parse_cube(file.read_text()), table, atol=6e-7)


@pytest.mark.parametrize(
    "text", ["", "LUT_3D_SIZE 2\n0 0 0\n", "LUT_3D_SIZE 9999999\n", "LUT_3D_SIZE 2\n" + "x " * 24]
)
def test_a_damaged_table_is_noticed(tmp_path: Path, text: str) -> None:
    file = tmp_path / "t.cube"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"."):
        load_lut(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no line LUT_3D_SIZE"),
        ("TITLE x\nLUT_1D_SIZE 16\n", "line 2: is a 1D LUT"),
        ("LUT_3D_SIZE 1\n", "line 1: LUT_3D_SIZE: got '1'; must be a whole number, 2 to 65"),
        ("LUT_3D_SIZE 66\n", "line 1: LUT_3D_SIZE: got '66'"),
        ("LUT_3D_SIZE 99999999999999999999\n", "line 1: LUT_3D_SIZE: got"),
        ("LUT_3D_SIZE two\n", "line 1: LUT_3D_SIZE: got 'two'"),
        ("LUT_3D_SIZE 2 2\n", "line 1: LUT_3D_SIZE: got '2 2'"),
        (PLAIN + "LUT_3D_SIZE 2\n", "line 10: LUT_3D_SIZE must be given once"),
        ("0 0 0\n" + PLAIN, "line 1: got '0 0 0'; LUT_3D_SIZE must come before the rows"),
        (PLAIN.replace("0 1 0", "0 1"), "line 4: got '0 1'; must be 3 finite numbers"),
        (PLAIN.replace("0 1 0", "0 one 0"), "line 4: got '0 one 0'"),
        (PLAIN.replace("0 1 0", "0 nan 0"), "line 4: got '0 nan 0'"),
        (PLAIN.replace("0 1 0", "0 inf 0"), "line 4: got '0 inf 0'"),
        (PLAIN.replace("0 1 0", "0 1 0 0"), "line 4: got '0 1 0 0'"),
        (PLAIN.replace("1 1 1\n", ""), "ends after 7 rows; a size of 2 has 8"),
        (PLAIN + "0 0 0\n", "line 10: is row 9; a size of 2 has 8 rows"),
        ("DOMAIN_MAX 2 2 2\n" + PLAIN, "line 1: DOMAIN_MAX: got '2 2 2'; must be 1 1 1"),
        ("DOMAIN_MIN 0 0\n" + PLAIN, "line 1: got '0 0'; must be 3 finite numbers"),
        ("LUT_3D_INPUT_RANGE -1 1\n" + PLAIN, "line 1: LUT_3D_INPUT_RANGE: got '-1 1'; must be 0 1"),
        ("SIZE 2\n", "line 1: got 'SIZE 2'; LUT_3D_SIZE must come before the rows"),
        ("x" * 5000, "x…'; LUT_3D_SIZE must come before"),
    ],
)
def test_an_error_names_the_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_cube(text)
