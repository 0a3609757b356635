"""Read the package's modules from source: names, top-level definitions and imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.support.paths import ROOT

PACKAGE = "video_pipeline"
FOLDERS = ("engine", "filters", "native")


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports. `name` is None if a whole module is imported: `import a.b`."""

    importer: str
    module: str
    name: str | None
    place: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its dotted name, its file and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    def place(self, node: ast.AST) -> str:
        """Return where a node of the tree is, as FILE:LINE."""
        return f"{self.path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"

    def imports(self) -> Iterator[Import]:
        """Yield every import, also those inside functions and for the type checker alone."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(self.name, alias.name, None, self.place(node))
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield Import(self.name, self._absolute(node), alias.name, self.place(node))

    def _absolute(self, node: ast.ImportFrom) -> str:
        if node.level == 0:
            return node.module or ""
        is_package = self.path.stem == "__init__"
        parents = self.name.split(".")
        parents = parents[: len(parents) - node.level + is_package]
        return ".".join([*parents, node.module] if node.module else parents)

    def definitions(self) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield the classes and functions of the top level, also those under an `if` or a `try`."""
        waiting: list[ast.AST] = [self.tree]
        while waiting:
            for node in ast.iter_child_nodes(waiting.pop()):
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield node
                elif isinstance(node, ast.stmt | ast.ExceptHandler):
                    waiting.append(node)


def read_modules(folder: str) -> Iterator[Module]:
    """Yield the modules in a folder of the checkout, named by their paths."""
    for path in sorted(ROOT.joinpath(folder).rglob("*.py*")):
        if path.suffix in (".py", ".pyi"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))


@cache
def package_modules() -> dict[str, Module]:
    """Return the modules of the package by their names; `__init__` of the package itself is not among them."""
    return {
        f"{PACKAGE}.{module.name}": Module(f"{PACKAGE}.{module.name}", module.path, module.tree)
        for folder in FOLDERS
        for module in read_modules(folder)
    }


@cache
def package_imports() -> tuple[Import, ...]:
    """Return the imports within the package; `module` is the deepest module, `name` what is taken from it."""
    modules = package_modules()
    found = []
    for module in modules.values():
        for each in module.imports():
            deeper = f"{each.module}.{each.name}"
            if each.name is not None and deeper in modules:
                found.append(Import(each.importer, deeper, None, each.place))
            elif each.module in modules or each.module == PACKAGE:
                found.append(each)
    return tuple(found)
