"""What a claim compares: a probe, two arms, and the form in which it is judged."""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, cast

from initcheck.arms import Arm
from initcheck.probes import Difference, Probe, name_of

SIDES = ("treated", "control")


class Measures(Protocol):
    """Trains arms, and measures them by probes and differences."""

    def values(self, probe: Probe, arm: Arm, seeds: Sequence[int], device: str, /) -> list[float]:
        """The probe's value for each seed."""

    def differences(
        self, difference: Difference, arms: tuple[Arm, Arm], seeds: Sequence[int], device: str, /
    ) -> list[float]:
        """The difference between two arms for each seed."""


@dataclass(frozen=True)
class Pair:
    """One comparison; in ``gains``, ``better`` and ``worse`` are treated and control.

    Attributes:
        probe: measures an arm; or, if there is a reference, how an arm differs from it.
        case: distinguishes several uses of one probe in one claim.
        form: ``holds``, ``gains`` or ``rate``.
        reference: the arm from which the two differ, or None.
    """

    probe: Probe | Difference
    treated: Arm
    control: Arm
    case: str = ""
    form: str = "holds"
    reference: Arm | None = None

    def __post_init__(self) -> None:
        """Refuse what could be neither trained nor stored."""
        if not isinstance(self.case, str):
            raise TypeError(
                f"case={self.case!r} is not a string. Results are stored by it: quote it."
            )
        for side, arm in self.arms.items():
            if not isinstance(arm, Arm):
                raise TypeError(
                    f"the {side} side is a {type(arm).__name__}, not an Arm. Give it an "
                    "Arm(network, initializer, recipe)."
                )

    @property
    def name(self) -> str:
        """The probe's name, as limits.toml has it."""
        return name_of(self.probe)

    @property
    def key(self) -> str:
        """The comparison's name in evidence and tables."""
        return f"{self.name} ({self.case})" if self.case else self.name

    @property
    def arms(self) -> dict[str, Arm]:
        """All arms by side."""
        both = {"treated": self.treated, "control": self.control}
        return both if self.reference is None else {**both, "reference": self.reference}

    def measured(
        self, side: str, seeds: Sequence[int], device: str, laboratory: Measures
    ) -> list[float]:
        """The values of a side; a reference has none, since it is compared with no limit."""
        if side not in SIDES:
            return []
        arm = self.arms[side]
        if self.reference is None:
            return laboratory.values(cast("Probe", self.probe), arm, seeds, device)
        difference = cast("Difference", self.probe)
        return laboratory.differences(difference, (arm, self.reference), seeds, device)

    def fingerprint(self) -> str:
        """Changes with the arms and the probe's code, but not with its comments or docstring."""
        probe = self.probe.func if isinstance(self.probe, partial) else self.probe
        given = sorted(self.probe.keywords.items()) if isinstance(self.probe, partial) else []
        arms = map(str, self.arms.values())
        text = "\n".join([*arms, str(given), code_of(probe)])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache  # many comparisons share a probe
def code_of(function: Callable[..., object]) -> str:
    """A function's syntax tree as text, without docstrings, comments, layout and line numbers.

    Empty fields are left out, so that every Python from 3.11 on writes the same text.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return code_text(tree.body[0])


def code_text(node: object) -> str:
    """A syntax tree as text, without docstrings, empty fields and line numbers."""
    if isinstance(node, ast.AST):
        fields = {name: getattr(node, name, None) for name in node._fields if name != "kind"}
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            fields["body"] = node.body[ast.get_docstring(node, clean=False) is not None :]
        kept = [
            f"{name}={code_text(value)}"
            for name, value in fields.items()
            if value not in ([], None)
        ]
        return f"{type(node).__name__}({', '.join(kept)})"
    if isinstance(node, list):
        return f"[{', '.join(map(code_text, node))}]"
    return repr(node)
