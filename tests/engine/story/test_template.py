"""A template's variables take the values of a row, with the types that the fields need."""

from __future__ import annotations

from typing import Any

import pytest

from video_pipeline.engine.errors import InputError, StoryError
from video_pipeline.engine.story.model import Story
from video_pipeline.engine.story.table import TableRow
from video_pipeline.engine.story.template import check_variables, fill_story, fill_text, template_texts


def story(template: dict[str, Any], *, is_text: bool = True, **values: Any) -> Story:
    return fill_story(template, TableRow(7, 9, values, is_text), where="t.csv, row 7 (line 9)")


def scene(**fields: Any) -> dict[str, Any]:
    return {"title": "T", "scenes": [{"scene_id": "a", "text": "x", **fields}]}


def test_cells_of_csv_become_numbers_and_truths_only_where_a_field_takes_no_text() -> None:
    made = story(
        scene(
            duration="{{ n }}",
            text="{{n}}",
            title="{{n}}",
            effects=[{"type": "ken_burns", "zoom": ["{{n}}", "{{m}}"]}],
        ),
        n="1.5",
        m="2",
    )
    assert made.scenes is not None
    (first,) = made.scenes
    assert (first.duration, first.text, first.title) == (1.5, "1.5", "1.5")
    assert first.effects[0].model_dump()["zoom"] in ([1.5, 2], (1.5, 2.0))


def test_values_of_json_lines_keep_their_types() -> None:
    made = story(
        {"title": "T", "scenes": "{{scenes}}", "metadata": {"tags": "{{tags}}"}},
        is_text=False,
        scenes=[{"scene_id": "a", "text": "{{not a variable}}"}],
        tags=["x", "y"],
    )
    assert made.scenes is not None
    assert made.scenes[0].text == "{{not a variable}}"
    assert list(made.metadata.tags) == ["x", "y"]


def test_numbers_are_written_out_where_a_field_takes_text_only() -> None:
    made = story({**scene(text="{{row}}"), "title": "{{year}}"}, is_text=False, year=1984)
    assert (made.title, made.scenes[0].text) == ("1984", "7")  # type: ignore[index]


def test_within_a_text_values_are_written_out_and_defaults_fill_gaps() -> None:
    row = TableRow(3, 4, {"a": 1, "b": 2.5, "c": True, "d e": "x"}, is_text=False)
    assert fill_text("{{a}} {{b}} {{c}} {{ d e }} {{row}} {{none|, }}{{none|}}.", row) == "1 2.5 true x 3 ,."


def test_a_field_or_item_whose_whole_value_is_empty_is_left_out() -> None:
    made = story(
        {**scene(image="{{picture|}}"), "metadata": {"tags": ["sea", "{{more|}}", "{{a}}"]}}, a="boat"
    )
    assert made.scenes is not None
    assert made.scenes[0].image is None
    assert list(made.metadata.tags) == ["sea", "boat"]


def test_a_value_is_never_read_as_a_variable_itself() -> None:
    assert story(scene(text="say {{a}}"), a="{{b}}", b="no").scenes[0].text == "say {{b}}"  # type: ignore[index]


@pytest.mark.parametrize(
    ("template", "values", "error", "message"),
    [
        (
            scene(text="{{a}}"),
            {"b": "1"},
            InputError,
            r"t\.csv, row 7 \(line 9\): \{\{a\}\} has no value; .*\{\{a\|…\}\}",
        ),
        (
            scene(duration="{{a}}"),
            {"a": "fast"},
            StoryError,
            r"row 7 .*'duration': got 'fast'; allowed: a number",
        ),
        (
            scene(duration="{{a}}"),
            {"a": "-1"},
            StoryError,
            r"row 7 .*'duration': got -1; allowed: more than 0",
        ),
        (scene(duration="{{a}}"), {"a": "NaN"}, StoryError, r"row 7 .*'duration'"),
        (scene(duration="about {{a}}"), {"a": "2"}, StoryError, r"'duration': got 'about 2'"),
        (scene(text="a {{a}}"), {"a": [1]}, InputError, r"\{\{a\}\} is list; allowed within a text"),
        (scene(colour="{{a}}"), {"a": "reddish"}, StoryError, r"'colour': got 'reddish'"),
    ],
)
def test_a_wrong_value_is_told_with_row_and_field(
    template: dict[str, Any], values: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        story(template, **values)


def test_a_variable_that_no_row_has_is_told_with_the_columns() -> None:
    texts = list(template_texts(scene(text="{{city}} {{row}} {{gone|x}}", keywords=["{{ctiy}}"])))
    with pytest.raises(InputError, match=r"s\.yaml: \{\{ctiy\}\}: .*allowed: city, fact, row"):
        check_variables(texts, ["city", "fact"], where="s.yaml")
    check_variables(["{{city}} {{row}} {{gone|x}}"], ["city"], where="s.yaml")


def test_a_variable_whose_cells_are_all_empty_is_said_to_have_no_value() -> None:
    with pytest.raises(
        InputError, match=r"^t: \{\{name\}\}: no row of the table has a value for it; allowed: id, row$"
    ):
        check_variables(["Hi {{name}}"], {"id"}, where="t")
