"""Safe YAML in which a duplicate key is an error and `9:16` is text, as YAML 1.2 requires."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

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


def load_yaml(text: str) -> Any:
    """Return YAML text as plain data; raise ValueError, or an error of PyYAML's own conversions."""
    try:
        return yaml.load(text, Loader=StrictLoader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
