"""Safe YAML in which a duplicate key is an error, as the YAML standard requires."""

from __future__ import annotations

from typing import Any

import yaml


class StrictLoader(yaml.SafeLoader):
    """A safe YAML loader that rejects duplicate keys."""

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
