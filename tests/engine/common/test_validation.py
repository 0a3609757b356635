"""Errors of models in words: ranges, lengths, places and similar names."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from video_pipeline.engine.common.validation import between, explain, path_text, show


class Circle(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0, le=30)] | None = None


class Square(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["square"]
    side: Annotated[float, Field(ge=1, le=9)] = 1


class Drawing(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    quality: float = Field(21, ge=0, le=51)
    wait: float = Field(0, ge=0)
    copies: int | None = Field(None, ge=1, le=1024)
    share: Annotated[float, Field(lt=1)] = 0
    corners: tuple[Annotated[int, Field(ge=16, le=4096)], Annotated[int, Field(ge=16, le=4096)]] = (16, 16)
    mixed: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=2)]] = (1, 2)
    name: str = Field("x", min_length=1, max_length=5)
    labels: tuple[str, ...] = Field((), max_length=2)
    fit: Literal["cover", "contain"] = "cover"
    shapes: tuple[Annotated[Circle | Square, Field(discriminator="kind")], ...] = ()


def refusal(**data: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate(data)
    return "\n".join(explain(caught.value, Drawing, where="d"))


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"quality": 99}, "d: quality: got 99; allowed: 0 to 51"),
        ({"quality": -1}, "d: quality: got -1; allowed: 0 to 51"),
        ({"quality": "x"}, "d: quality: got 'x'; allowed: a number, 0 to 51"),
        ({"quality": float("nan")}, "d: quality: got nan; allowed: a finite number, 0 to 51"),
        ({"wait": -1}, "d: wait: got -1; allowed: at least 0"),
        ({"share": 1}, "d: share: got 1; allowed: less than 1"),
        ({"copies": 0}, "d: copies: got 0; allowed: 1 to 1024"),
        ({"copies": 1.5}, "d: copies: got 1.5; allowed: a whole number, 1 to 1024"),
        ({"corners": [5, 20]}, "d: corners[0]: got 5; allowed: 16 to 4096"),
        ({"mixed": [1, 1]}, "d: mixed[1]: got 1; allowed: greater than or equal to 2"),
        ({"name": ""}, "d: name: got ''; allowed: 1 to 5 characters"),
        ({"name": "123456"}, "d: name: got '123456'; allowed: 1 to 5 characters"),
        ({"labels": ["a", "b", "c"]}, "d: labels: got ['a', 'b', 'c']; allowed: at most 2 items"),
        ({"fit": "covr"}, "d: fit: got 'covr' (did you mean 'cover'?); allowed: 'cover' or 'contain'"),
        ({"qualty": 1}, "d: qualty: unknown key (did you mean 'quality'?); known keys: copies, corners, fit"),
        (
            {"shapes": [{"kind": "circle"}, {"kind": "circle", "radius": 99}]},
            "d: shapes[1].circle.radius: got 99; allowed: more than 0, at most 30",
        ),
        ({"shapes": [{"kind": "square", "side": 0}]}, "d: shapes[0].square.side: got 0; allowed: 1 to 9"),
        (
            {"shapes": [{"kind": "square", "radius": 1}]},
            "d: shapes[0].square.radius: unknown key; known keys: kind, side",
        ),
    ],
)
def test_an_error_names_the_place_the_value_and_the_whole_range(data: dict[str, Any], line: str) -> None:
    assert refusal(**data).startswith(line)


def test_a_value_from_elsewhere_is_named_by_its_origin() -> None:
    with pytest.raises(ValidationError) as caught:
        Drawing.model_validate({"quality": 99, "copies": 0})
    assert explain(caught.value, Drawing, where="d", origins={"copies": "variable COPIES"}) == [
        "d: quality: got 99; allowed: 0 to 51",
        "variable COPIES: got 0; allowed: 1 to 1024",
    ]


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ({"low": 0, "high": 51}, "0 to 51"),
        ({"low": 2, "high": 2}, "exactly 2"),
        ({"low": 1, "high": None}, "at least 1"),
        ({"low": None, "high": 8}, "at most 8"),
        ({"low": None, "high": 30, "above": 0}, "more than 0, at most 30"),
        ({"low": 0, "high": None, "below": 9}, "at least 0, less than 9"),
        ({"low": 1, "high": 5, "unit": "items"}, "1 to 5 items"),
        ({"low": None, "high": None}, ""),
    ],
)
def test_a_range_gives_both_ends_if_it_has_two(ends: dict[str, Any], words: str) -> None:
    assert between(**ends) == words


def test_a_path_shows_keys_with_dots_and_numbers_in_brackets() -> None:
    assert path_text(["scenes", 0, "effects", 1, "focus", 0]) == "scenes[0].effects[1].focus[0]"
    assert path_text([3, "a"]) == "[3].a"
    assert path_text([]) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2030, 1, 2, tzinfo=UTC), "'2030-01-02T00:00:00+00:00'"),
        (Fraction(30000, 1001), "30000/1001"),
        (Path("a/b"), "'a/b'"),
        ([Path("a")], "['a']"),
        ("x" * 200, "'" + "x" * 78 + "…"),
    ],
)
def test_a_value_is_shown_as_a_user_writes_it(value: object, text: str) -> None:
    assert show(value) == text
