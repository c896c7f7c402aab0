"""The module of the first seed, which all checks share, and comparisons of its tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from initcheck.inspection.findings import Finding, InspectionError, NotJudged
from initcheck.inspection.fingerprints import Recorded
from initcheck.inspection.hidden import WHY, hidden
from initcheck.inspection.laws import Measured
from initcheck.inspection.memory import Write
from initcheck.inspection.observed import First
from initcheck.inspection.subject import Built, Subject
from initcheck.inspection.tensors import (
    Named,
    chance,
    named_tensors,
    same_bits,
    storage,
    why_not_judged,
)

#: Tensors and rows are compared if two draws are equal by chance with a probability below 2^-40.
RARE = 40


@dataclass
class Start:
    """The module that the first seed builds, and what is known of its tensors.

    Attributes:
        tensors: what can be judged, by name, in the module's order.
        not_judged: collects what cannot be.
        fixed: names of tensors that are the same for both seeds.
        wakes: for each trainable parameter, the first step at which it has a gradient.
        laws: for each tensor of real numbers, what check ``scale`` measured.
        recorded: the start to compare with.
        first: what the first step on a batch showed, once it is computed.
        rounded: names of parameters whose first gradient is rounding alone, as far as judged.
        versions: how often each tensor had been written when it was last known to be the start's.
    """

    subject: Subject
    built: Built
    seeds: tuple[int, int]
    not_judged: list[NotJudged] = field(default_factory=list)
    fixed: set[str] = field(default_factory=set)
    wakes: dict[str, int | None] = field(default_factory=dict)
    laws: dict[str, Measured] = field(default_factory=dict)
    recorded: Recorded | None = None
    first: First | None = None
    rounded: set[str] = field(default_factory=set)
    tensors: dict[str, Named] = field(init=False)
    versions: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.tensors = {}
        for each in named_tensors(self.built.module):
            why = why_not_judged(each.tensor)
            if why:
                self.not_judged.append(NotJudged("all", each.name, why))
            else:
                self.tensors[each.name] = each
        self.not_judged += [NotJudged("all", name, WHY) for name in hidden(self.built.module)]
        self.versions = self._versions()

    def _versions(self) -> dict[str, int]:
        """How often each tensor was written. Those of inference mode do not count that."""
        return {
            name: 0 if each.tensor.is_inference() else each.tensor._version  # noqa: SLF001
            for name, each in self.tensors.items()
        }

    @torch.no_grad()
    def put_back(self) -> None:
        """Take what a forward pass wrote, as a limit on its length, from another build.

        Without it, later checks and the record would see other values than the start's.
        """
        now = self._versions()
        written = [each for name, each in self.tensors.items() if now[name] != self.versions[name]]
        if not any(each.parameter for each in written):  # buffers are put back after each pass
            return
        try:
            fresh = by_name(self.subject(self.seeds[0], None).module)
        except InspectionError:  # check `written` says that it cannot be built again
            return
        for each in written:
            other = fresh.get(each.name)
            if other is None or other.tensor.shape != each.tensor.shape or not each.parameter:
                continue
            if not same(each, other):
                each.tensor.copy_(other.tensor)
        self.versions = self._versions()

    def line(self, named: Named) -> str:
        """The last line that wrote a tensor."""
        return self.built.lines.get(storage(named.tensor), "")

    def drawn(self, named: Named) -> bool:
        """Whether torch's random operations wrote it."""
        return storage(named.tensor) in self.built.random

    def writes(self, named: Named) -> list[Write]:
        """What changed a tensor since it was allocated, in order."""
        memory = self.built.memory
        return memory.writes.get(storage(named.tensor), []) if memory else []

    def finding(
        self, check: str, severity: str, named: Sequence[Named], *, line: str | None = None,
        **rest: object,
    ) -> Finding:  # fmt: skip
        """A finding about these tensors, with the class of the first one's owner."""
        lines = tuple(map(self.line, named)) if line is None else ()
        return Finding(
            check=check,
            severity=severity,  # type: ignore[arg-type]
            parameters=tuple(each.name for each in named),
            owner=type(named[0].owner).__name__,
            line=lines[0] if line is None else line,
            lines=lines,
            **rest,  # type: ignore[arg-type]
        )


def by_name(module: nn.Module) -> dict[str, Named]:
    """The tensors of a module by their first names."""
    return {each.name: each for each in named_tensors(module)}


def same(a: Named, b: Named | None) -> bool:
    """Whether both are there and equal in bits."""
    return b is not None and not why_not_judged(b.tensor) and same_bits(a.tensor, b.tensor)


def telling(tensor: Tensor) -> bool:
    """Whether two draws of this tensor are equal by chance with a probability below 2^-40."""
    return chance(tensor, tensor.numel()) >= RARE
