"""Mutants: a module's code with one thing changed in its syntax tree."""

from __future__ import annotations

import ast
import difflib
import gc
import inspect
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any, Final

Change = Callable[[ast.AST], Iterator[ast.AST | None]]
"""Yields replacements for a node; None removes the node from its list."""

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
}
_CALLS: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_DROPPED_CALLS: Final = ("reversed", "sorted", "list", "abs")
_SQL: Final = (
    ("<=", "<"),
    (" > ", " >= "),
    (" AND ", " OR "),
    (" DESC", ""),
    ("IS NULL", "IS NOT NULL"),
    ("IS NOT NULL", "IS NULL"),
    (" + ", " - "),
    ("max(", "min("),
    ("= 0", "= 1"),
    ("= 1", "= 0"),
    ("order_key, position", "position"),
    ("due_wall, position", "position"),
    ("ORDER BY finished_at", "ORDER BY position"),
)
_SQL_WORDS: Final = ("SELECT ", "UPDATE ", "DELETE ", "WHERE ", "ORDER ")
_WITHOUT_EFFECT: Final = ("logger.debug", "logger.info")
_WORDS: Final = re.compile(r"[a-z:,;] \w")
"""In what people read. Which words a message has is seldom worth a test."""
SHOWN_BESIDE: Final = 60
_NOT_CHANGED_KEYWORDS: Final = (
    "description",
    "extra",
    "encoding",
    "newline",
    "strict",
    "exist_ok",
    "parents",
)
"""Text for people; what is the same where locales are UTF-8; what only guards against faults of our own."""


def _comparison(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                ops = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield ast.Compare(node.left, ops, node.comparators)


def _boolean(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for index in range(len(node.values)):
            rest = [*node.values[:index], *node.values[index + 1 :]]
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)


def _arithmetic(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)


def _call(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if node.func.id in _CALLS:
            yield ast.Call(ast.Name(_CALLS[node.func.id], ast.Load()), node.args, node.keywords)
        if node.func.id in _DROPPED_CALLS and node.args:
            yield node.args[0]
    if isinstance(node, ast.Call) and not _is_field(node):
        for index, keyword in enumerate(node.keywords):
            if keyword.arg is not None and keyword.arg not in _NOT_CHANGED_KEYWORDS:
                yield ast.Call(node.func, node.args, [*node.keywords[:index], *node.keywords[index + 1 :]])


def _condition(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    if isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
        node.test, ast.Name | ast.Attribute | ast.Call | ast.NamedExpr
    ):
        negated = ast.UnaryOp(ast.Not(), node.test)
        if isinstance(node, ast.IfExp):
            yield ast.IfExp(negated, node.body, node.orelse)
        else:
            yield type(node)(negated, node.body, node.orelse)
    if isinstance(node, ast.comprehension):
        for index in range(len(node.ifs)):
            ifs = [*node.ifs[:index], *node.ifs[index + 1 :]]
            yield ast.comprehension(node.target, node.iter, ifs, node.is_async)


def _constant(node: ast.AST) -> Iterator[ast.AST | None]:
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, str):
        if value.lstrip().startswith(_SQL_WORDS) or value.startswith(" AND"):
            for old, new in _SQL:
                start = value.find(old)
                while start >= 0:
                    yield ast.Constant(value[:start] + new + value[start + len(old) :])
                    start = value.find(old, start + 1)
        elif not _WORDS.search(value):
            yield ast.Constant(f"{value}X")
    elif isinstance(value, bytes):
        yield ast.Constant(value + b"X")


def _statement(node: ast.AST) -> Iterator[ast.AST | None]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
        yield ast.Pass()
    if isinstance(node, ast.Raise):
        yield ast.Pass()
    if isinstance(node, ast.Break | ast.Continue):
        yield ast.Pass()
    if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield ast.Return(ast.Constant(None))
    if isinstance(node, ast.AugAssign | ast.Assign) and isinstance(
        node.target if isinstance(node, ast.AugAssign) else node.targets[0], ast.Attribute | ast.Subscript
    ):
        yield ast.Pass()


def _handler(node: ast.AST) -> Iterator[ast.AST | None]:
    if not isinstance(node, ast.ExceptHandler) or node.type is None:
        return
    if isinstance(node.type, ast.Tuple):
        for index in range(len(node.type.elts)):
            rest: list[ast.expr] = [*node.type.elts[:index], *node.type.elts[index + 1 :]]
            yield ast.ExceptHandler(ast.Tuple(rest, ast.Load()), node.name, node.body)
    else:
        yield ast.ExceptHandler(ast.Tuple([], ast.Load()), node.name, node.body)


@dataclass(frozen=True, slots=True)
class Operator:
    """A kind of change."""

    name: str
    change: Change


OPERATORS: Final = (
    Operator("comparison", _comparison),
    Operator("boolean operator", _boolean),
    Operator("arithmetic", _arithmetic),
    Operator("call", _call),
    Operator("condition", _condition),
    Operator("constant", _constant),
    Operator("statement removed", _statement),
    Operator("exception let through", _handler),
)


def _is_field(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id == "Field"


def _is_message(node: ast.AST) -> bool:
    """Whether a node is a call such as `Error(f"…")` or `logger.warning(f"…")`."""
    return (
        isinstance(node, ast.Call)
        and re.search(r"(Error|Warning|error|warning|Conflict|Full)$", ast.unparse(node.func)) is not None
    )


def _not_changed(node: ast.AST) -> bool:
    """Whether a node is text for people or for the type checker."""
    if isinstance(node, ast.Expr):
        if isinstance(node.value, ast.Constant):
            return True
        return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in _WITHOUT_EFFECT
    if isinstance(node, ast.If):
        return ast.unparse(node.test).startswith(("TYPE_CHECKING", "sys.platform"))
    return isinstance(node, ast.Import | ast.ImportFrom)


def _children(node: ast.AST) -> Iterator[tuple[str, int | None, ast.AST]]:
    """Yield field, index and child of what may be changed below a node."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or (
            isinstance(node, ast.FormattedValue) and name == "format_spec"
        ):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or _not_changed(child):
                continue
            if isinstance(child, ast.keyword) and child.arg in _NOT_CHANGED_KEYWORDS:
                continue
            if isinstance(child, ast.Constant) and isinstance(node, ast.JoinedStr):
                continue
            if isinstance(child, ast.JoinedStr) and _is_message(node):
                continue
            yield name, index, child


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of a module: where it is, what it is, and the module's code with it."""

    line: int
    function: str
    operator: str
    old: str
    new: str
    code: CodeType = field(repr=False)
    first_line: int | None
    """Of the outermost function whose body it is in; None outside of functions."""

    @property
    def key(self) -> tuple[str, str, str]:
        """The mutant's name in the list of allowed ones; it does not depend on line numbers."""
        return self.function, self.old, self.new

    def functions(self) -> list[tuple[FunctionType, CodeType]]:
        """Return the functions in memory that the mutant is in, with the code each is to have."""
        code = _code_at(self.code, self.first_line) if self.first_line is not None else None
        if code is None:
            return []
        return [
            (found, code)
            for found in gc.get_objects()
            if isinstance(found, FunctionType)
            and found.__code__.co_filename == code.co_filename
            and found.__code__.co_firstlineno == code.co_firstlineno
            and found.__code__.co_qualname == code.co_qualname
            and found.__code__.co_freevars == code.co_freevars
        ]

    def put_in_place(self) -> None:
        """Replace the code of the functions in memory by the mutant's."""
        for function, code in self.functions():
            function.__code__ = code


def _code_at(code: CodeType, first_line: int) -> CodeType | None:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            is_function = bool(inner.co_flags & inspect.CO_OPTIMIZED)
            if is_function and inner.co_firstlineno == first_line and not inner.co_name.startswith("<"):
                return inner
            if not is_function and (found := _code_at(inner, first_line)):
                return found
    return None


def mutants_of(source: str, path: str) -> list[Mutant]:
    """Return all mutants of a module's source in the order of its lines."""
    tree = ast.parse(source, path)
    plain = ast.unparse(tree).splitlines()
    found: list[Mutant] = []

    def visit(node: ast.AST, function: str, line: int, first_line: int | None) -> None:
        for name, index, child in _children(node):
            inner, body_of = function, first_line
            if (
                first_line is None
                and name == "body"
                and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ):
                body_of = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{function}.{child.name}".lstrip(".")
            at = getattr(child, "lineno", line)
            for operator in OPERATORS:
                for other in operator.change(child):
                    if other is not None:
                        ast.copy_location(other, child)
                    for code, old, new in changed(node, name, index, child, other):
                        found.append(Mutant(at, inner, operator.name, old, new, code, body_of))
            visit(child, inner, at, body_of)

    def changed(
        node: ast.AST, name: str, index: int | None, child: ast.AST, other: Any
    ) -> Iterator[tuple[CodeType, str, str]]:
        if index is None:
            setattr(node, name, other)
        else:
            getattr(node, name)[index] = other
        try:
            with suppress(SyntaxError, ValueError, TypeError):
                text = ast.unparse(tree).splitlines()
                code = compile(ast.fix_missing_locations(tree), path, "exec")
                old, new = _differing(plain, text)
                if old or new:
                    yield code, old, new
        finally:
            if index is None:
                setattr(node, name, child)
            else:
                getattr(node, name)[index] = child

    visit(tree, "", 1, None)
    return sorted(found, key=lambda mutant: mutant.line)


def _differing(before: Sequence[str], after: Sequence[str]) -> tuple[str, str]:
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    lines = list(difflib.ndiff(before[start : start + 60], after[start : start + 60]))
    old = [line[2:].strip() for line in lines if line.startswith("- ")]
    new = [line[2:].strip() for line in lines if line.startswith("+ ")]
    if len(old) == len(new) == 1:
        return _trimmed(old[0], new[0])
    return "\n".join(old[:3]), "\n".join(new[:3])


def _alike(one: str, other: str) -> int:
    """Return the length of the common beginning of two texts."""
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def _trimmed(old: str, new: str) -> tuple[str, str]:
    """Return the difference of two long lines, with some characters before and after it."""
    start = _alike(old, new)
    end = _alike(old[start:][::-1], new[start:][::-1])
    cut = [
        ("…" if start > SHOWN_BESIDE else "")
        + line[max(0, start - SHOWN_BESIDE) : len(line) - max(0, end - SHOWN_BESIDE)]
        + ("…" if end > SHOWN_BESIDE else "")
        for line in (old, new)
    ]
    return cut[0], cut[1]


def sample(mutants: Sequence[Mutant], count: int, *, seed: int) -> list[Mutant]:
    """Return a sample of the mutants in order, the same for the same seed; size 0 returns all."""
    if not 0 < count < len(mutants):
        return list(mutants)
    return [mutants[index] for index in sorted(random.Random(seed).sample(range(len(mutants)), count))]
