"""A class or function has a name that no other has, so that a search finds one place."""

from __future__ import annotations

from collections import defaultdict

from tests.support.modules import package_modules

SEVERAL = {
    "main": "what a program runs",
    "Run": "a stretch of text in one font, and a search for encoder settings",
    "Trial": "of an encoder on this machine, and of settings in a search",
    "_pause": "the blocking client and its asyncio twin each wait in their own way",
}
"""Names that may be defined in several modules, and why."""


def definitions() -> dict[str, list[str]]:
    """Return where each top-level class and function of the package is defined."""
    places = defaultdict(list)
    for module in package_modules().values():
        if module.path.suffix == ".py":
            for name, place in {node.name: module.place(node) for node in module.definitions()}.items():
                places[name].append(place)
    return places


def test_no_class_or_function_is_defined_in_two_modules() -> None:
    wrong = [
        f"{name}: defined at {' and at '.join(places)}"
        for name, places in sorted(definitions().items())
        if len(places) > 1 and name not in SEVERAL
    ]
    assert not wrong, "\n".join(wrong)


def test_every_listed_exception_is_needed() -> None:
    over = [name for name in SEVERAL if len(definitions().get(name, ())) < 2]
    assert not over, f"no longer defined twice; take out of SEVERAL: {', '.join(over)}"
