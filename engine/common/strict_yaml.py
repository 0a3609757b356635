"""Safe YAML in which a duplicate key is an error and `9:16` is text, as YAML 1.2 requires."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

from video_pipeline.engine.common.validation import show

_SIXTIES: Final = re.compile(r"\|[^|]*:\[0-5\]\?\[0-9\][^|]*?(?=\||\)\$)")
"""The part of PyYAML's patterns of numbers that reads `9:16` as 9 * 60 + 16, as YAML 1.1 did."""


def _without_sixties(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(_SIXTIES.sub("", pattern.pattern), pattern.flags)


class StrictLoader(yaml.SafeLoader):
    """A safe YAML loader that rejects duplicate keys and has no base-60 numbers."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name
        first: [(tag, _without_sixties(pattern)) for tag, pattern in resolvers]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            name = (key.tag, key.value)
            if name in seen:
                raise yaml.composer.ComposerError(
                    None, None, f"the key {key.value!r} is given twice in one object", key.start_mark
                )
            seen.add(name)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        # PyYAML does not catch the errors of its own conversions (a 13th month, an empty !!int).
        try:
            return super().construct_object(node, deep)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            raise yaml.constructor.ConstructorError(
                None,
                None,
                f"{show(node.value)} is no {_TYPES.get(node.tag, node.tag)}; put text in quotes",
                node.start_mark,
            ) from error


_TYPES: Final = {
    "tag:yaml.org,2002:int": "whole number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "true or false",
    "tag:yaml.org,2002:timestamp": "date or time",
}
"""PyYAML's types in plain words."""

_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (r"mapping values are not allowed here", "a ':' is not expected here; put text with ': ' in quotes"),
    (r"found character '\\t' that cannot start any token", "a tab is not allowed here; indent with spaces"),
    (
        r"found character (?P<sign>'.+') that cannot start any token",
        "text cannot begin with {sign}; put it in quotes",
    ),
    (r"could not find expected ':'", "a ':' is missing after the key on the line before"),
    (r"found unexpected end of stream", "the quotes that begin here are not closed"),
    (r"found unexpected document separator", "the quotes that begin here are not closed"),
    (r"expected <block end>, but found", "this does not continue the lines above; check its indentation"),
    (r"expected ',' or ']', but got", "a ',' or ']' is missing in a list that began with '['"),
    (r"expected ',' or '}', but got", "a ',' or '}}' is missing in an object that began with '{{'"),
    (r"sequence entries are not allowed here", "a '-' is not expected here; check the indentation"),
    (
        r"mapping keys are not allowed here",
        "a '?' is not expected here; put text that begins with it in quotes",
    ),
    (
        r"found undefined alias (?P<name>'.+')",
        "*{name} has no anchor; put text that begins with * in quotes",
    ),
    (
        r"expected alphabetic or numeric character, but found",
        "a name is missing after & or *; put text that begins with them in quotes",
    ),
    (
        r"could not determine a constructor for the tag (?P<tag>'.+')",
        "the tag {tag} is not supported; put text that begins with ! in quotes",
    ),
    (
        r"found unknown escape character (?P<sign>'.+')",
        "\\ before {sign} is no escape; use single quotes, or two backslashes",
    ),
    (r"expected chomping or indentation", "text after | or > must begin on the next line"),
    (r"second occurrence", "an anchor (&) has a name that another one has"),
    (r"expected '<document start>', but found", "the document has ended; only one is allowed"),
    (r"found unhashable key", "a key must be text"),
    (r"but found another document", "the file holds a second document (after ---); only one is allowed"),
)
"""What PyYAML's parser reports (a pattern), and the same in plain words."""


def _plain_words(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "the text ends too early"
    for pattern, words in _WORDS:
        if found := re.search(pattern, problem):
            return words.format(**found.groupdict())
    return problem


def load_yaml(text: str) -> Any:
    """Return YAML text as plain data; raise ValueError with line, column and what is wrong."""
    try:
        return yaml.load(text, Loader=StrictLoader)
    except yaml.MarkedYAMLError as error:
        is_open = (error.context or "").startswith("while scanning a quoted scalar")
        mark = error.context_mark if is_open and "escape" not in (error.problem or "") else error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{place}{_plain_words(error)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        sign = error.character if isinstance(error.character, int) else ord(error.character)
        raise ValueError(f"line {line}: the control character U+{sign:04X} is not allowed") from error
