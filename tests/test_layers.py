"""Imports run downward: no module imports a layer above its own, and no modules import each other in a circle."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest

from tests.support.modules import FOLDERS, PACKAGE, package_imports, package_modules, read_modules

Layers = tuple[tuple[str, ...], ...]

LAYERS: Layers = (
    ("cli", "api"),
    ("jobs", "tuning", "batch"),
    ("fleet", "pipeline", "preview", "storage", "publish", "notify"),
    ("spread",),
    ("outputs",),
    ("plan",),
    ("cards",),
    ("render", "compose"),
    ("soundtrack", "scene_places", "scene_clips"),
    ("assets",),
    ("config", "on_beat", "shot_cuts"),
    ("story", "machine", "timeline", "placement"),
    ("net",),
    ("common", "timing", "events"),
    ("errors", "version"),
    ("filters",),
    ("native",),
)
"""From the top down. A package imports from itself and from lower layers; those of one layer do not import each
other. `version` is `engine/__init__.py`."""

JOBS: Layers = (
    ("embedded",),
    ("client", "server", "node", "web"),
    ("dispatch", "ledger"),
    ("inputs",),
    ("free_space",),
    ("acting", "tokens"),
    ("curve", "folders", "logs", "machines", "processes", "views"),
    ("encoding",),
    ("verbs",),
    ("node_messages",),
    ("messages",),
    ("model",),
)
"""The same within `engine/jobs`: client, server, node and web are processes of their own and meet only in messages
and ledger, but in `embedded`, which has all three in one."""


def package_of(module: str) -> str:
    """Return the package or single module of `LAYERS` that a module belongs to."""
    _, folder, *rest = module.split(".")
    if folder != "engine":
        return folder
    return rest[0] if rest else "version"


def package_of_jobs(module: str) -> str | None:
    """Return the package or single module of `JOBS` that a module belongs to, None outside `engine/jobs`."""
    prefix = f"{PACKAGE}.engine.jobs."
    return module.removeprefix(prefix).split(".")[0] if module.startswith(prefix) else None


def upward(layers: Layers, importer: str | None, imported: str | None) -> bool:
    """Whether an import goes up, or sideways to another package of the same layer."""
    ranks = {name: rank for rank, names in enumerate(layers) for name in names}
    if importer is None or imported is None or importer == imported:
        return False
    return ranks[importer] >= ranks[imported]


def test_every_package_has_one_layer() -> None:
    packages = [package_of(module) for module in package_modules()]
    of_jobs = [package_of_jobs(module) for module in package_modules()]
    assert sorted(set(packages)) == sorted(name for names in LAYERS for name in names)
    assert sorted({name for name in of_jobs if name}) == sorted(name for names in JOBS for name in names)


def test_imports_run_downward() -> None:
    wrong = [
        f"{each.place}: {each.importer} imports {each.module}, which is not in a layer below it"
        for each in package_imports()
        if each.module != PACKAGE
        and (
            upward(LAYERS, package_of(each.importer), package_of(each.module))
            or upward(JOBS, package_of_jobs(each.importer), package_of_jobs(each.module))
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    places = {}
    for each in package_imports():
        graph.setdefault(each.importer, set()).add(each.module)
        places[each.importer, each.module] = each.place
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]
        steps = [
            f"{places[importer, imported]}: {importer} imports {imported}"
            for importer, imported in pairwise(circle)
        ]
        pytest.fail("\n".join(steps), pytrace=False)


def test_no_module_imports_a_public_name_from_the_top_of_the_package() -> None:
    wrong = [
        f"{each.place}: {each.importer} imports {each.name} from {PACKAGE}; import it from where it is defined"
        for each in package_imports()
        if each.module == PACKAGE and each.name is not None
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_a_private_name_of_another() -> None:
    core = f"{PACKAGE}.native._core"
    wrong = [
        f"{each.place}: {each.importer} imports {'.'.join(filter(None, (each.module, each.name)))}"
        for each in package_imports()
        if each.module != core
        and any(
            part.startswith("_") and not part.startswith("__")
            for part in (*each.module.split("."), each.name or "")
        )
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_imported_by_the_bare_name_of_its_folder() -> None:
    others = [module for folder in ("tests", "benchmarks", "examples") for module in read_modules(folder)]
    wrong = [
        f"{each.place}: imports {each.module}; import {PACKAGE}.{each.module}"
        for module in (*package_modules().values(), *others)
        for each in module.imports()
        if each.module.split(".")[0] in FOLDERS
    ]
    assert not wrong, "\n".join(wrong)
