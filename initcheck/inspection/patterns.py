"""Watches the conditions of an initialization that compare a name of the module with a text."""

from __future__ import annotations

import ast
import fnmatch
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from torch import nn

from initcheck.inspection.calling import called
from initcheck.inspection.shown import shortened
from initcheck.inspection.surroundings import without_network

METHODS = frozenset({"startswith", "endswith"})
MATCHES = frozenset({"match", "search", "fullmatch"})


@dataclass
class Pattern:
    """A condition that compares a name of the module with a text.

    Attributes:
        source: as it is written.
        line: where, as ``file.py:12``.
        names: how many different names it was asked about.
        example: one of them.
    """

    source: str
    line: str
    names: int
    example: str


#: The name of a variable, and what it is asked.
_Comparison = tuple[str, Callable[[str], bool]]


@dataclass
class _Condition:
    """Comparisons that belong to one ``if``, and what they gave.

    It has no effect if none of its comparisons was ever true.
    """

    source: str
    line: int
    parts: list[_Comparison]
    seen: set[str] = field(default_factory=set)
    others: bool = False
    matched: bool = False


def unmatched(init: Callable[[nn.Module], object], module: nn.Module) -> tuple[list[Pattern], str]:
    """Run an initialization, and find the conditions on names that were never true.

    Only functions in the file of the initialization are watched. A condition counts if all that it
    was asked about, at least two texts, are names of parameters, buffers or parts of the module.

    Returns:
        The conditions, and why they could not be watched; one of both is empty.
    """
    function = inspect.unwrap(getattr(init, "function", init))
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    try:
        file = inspect.getsourcefile(function) or ""
        with open(file, encoding="utf-8") as source:  # noqa: PTH123 -- the name may be any text
            tree = ast.parse(source.read())
    except (TypeError, OSError, SyntaxError, UnicodeDecodeError):
        return [], "the source of the initialization cannot be read"
    conditions = list(_conditions(tree))
    if not conditions:
        return [], ""
    names = _names(module)
    watch = _Watch(file, conditions, names)
    before = sys.gettrace()
    sys.settrace(watch)
    try:
        with without_network():
            called(init, "the initialization", module)
    finally:
        sys.settrace(before)
    return [
        Pattern(each.source, f"{shortened(file)}:{each.line}", len(each.seen), min(each.seen))
        for each in conditions
        if not each.matched and not each.others and len(each.seen) > 1
    ], ""


def _names(module: nn.Module) -> frozenset[str]:
    """Names of all parameters, buffers and parts, with and without the parts they are in."""
    found = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    found |= {name for name, _ in module.named_buffers(remove_duplicate=False)}
    found |= {name for name, _ in module.named_modules(remove_duplicate=False)}
    return frozenset({part for name in found for part in (name, name.rpartition(".")[2])})


def _conditions(tree: ast.AST) -> Iterator[_Condition]:
    """Those of statements. Inside a comprehension no line begins when its variable is set."""
    for node in _outside_comprehensions(tree):
        if isinstance(node, (ast.If, ast.IfExp)):
            parts = _comparisons(node.test)
            if parts:
                yield _Condition(ast.unparse(node.test), node.test.lineno, parts)


def _outside_comprehensions(tree: ast.AST) -> Iterator[ast.AST]:
    inside = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, inside):
            yield node
            yield from _outside_comprehensions(node)


def _comparisons(test: ast.expr) -> list[_Comparison]:
    """The comparisons with a text without which a condition is false; none if there are others."""
    if isinstance(test, ast.BoolOp):
        parts = [_comparisons(each) for each in test.values]
        if isinstance(test.op, ast.Or) and not all(parts):
            return []
        return [each for several in parts for each in several]
    found = _compared(test) or _method(test) or _function(test)
    return [found] if found else []


def _compared(node: ast.expr) -> _Comparison | None:
    """``name == "text"``, ``"text" in name`` or ``name in ("text", ...)``."""
    if not (isinstance(node, ast.Compare) and len(node.ops) == 1):
        return None
    left, operator, right = node.left, node.ops[0], node.comparators[0]
    if isinstance(operator, ast.Eq):
        left, right = (right, left) if _texts(left) else (left, right)
    texts = _texts(left) or _texts(right)
    if isinstance(operator, ast.In) and isinstance(left, ast.Constant) and texts:
        return (right.id, lambda name: texts[0] in name) if isinstance(right, ast.Name) else None
    if isinstance(operator, (ast.Eq, ast.In)) and isinstance(left, ast.Name) and texts:
        if isinstance(operator, ast.In) and isinstance(right, ast.Constant):
            return left.id, lambda name: name in texts[0]
        return left.id, lambda name: name in texts
    return None


def _method(node: ast.expr) -> _Comparison | None:
    """``name.endswith("text")``, or with several."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        variable, method, texts = node.func.value, node.func.attr, _texts(node.args[0])
        if isinstance(variable, ast.Name) and method in METHODS and texts:
            return variable.id, lambda name: bool(getattr(name, method)(texts))
    return None


def _function(node: ast.expr) -> _Comparison | None:
    """``re.search("text", name)`` or ``fnmatch.fnmatch(name, "text")``, without flags."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    library, function = node.func.value, node.func.attr
    if not isinstance(library, ast.Name) or len(node.args) != 2 or node.keywords:
        return None
    first, second = node.args
    if library.id == "re" and function in MATCHES and isinstance(second, ast.Name):
        match = getattr(re, function)
        texts = _texts(first)
        return (second.id, lambda name: bool(match(texts[0], name))) if texts else None
    if library.id == "fnmatch" and function in {"fnmatch", "fnmatchcase"}:
        texts = _texts(second)
        if texts and isinstance(first, ast.Name):
            return first.id, lambda name: fnmatch.fnmatchcase(name, texts[0])
    return None


def _texts(node: ast.expr) -> tuple[str, ...]:
    """The texts that an expression is or holds; empty if it is or holds anything else."""
    several = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    values = [each.value for each in several if isinstance(each, ast.Constant)]
    texts = tuple(each for each in values if isinstance(each, str))
    return texts if len(texts) == len(several) else ()


class _Watch:
    """A trace function that evaluates the conditions of a line before the line runs."""

    def __init__(self, file: str, conditions: list[_Condition], names: frozenset[str]) -> None:
        self.file, self.names = file, names
        self.by_line: dict[int, list[_Condition]] = {}
        for each in conditions:
            self.by_line.setdefault(each.line, []).append(each)

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:  # noqa: ARG002
        if frame.f_code.co_filename != self.file:
            return None
        if event == "line" and frame.f_lineno in self.by_line:
            for condition in self.by_line[frame.f_lineno]:
                self._ask(condition, frame.f_globals, frame.f_locals)
        return self

    def _ask(
        self, condition: _Condition, scope: Mapping[str, Any], local: Mapping[str, Any]
    ) -> None:
        for variable, asked in condition.parts:
            value = local.get(variable, scope.get(variable))
            if not isinstance(value, str):
                condition.others = True
                continue
            condition.others |= value not in self.names
            condition.seen.add(value)
            condition.matched |= asked(value)
