"""A check of the first gradient: against float64, and against the slope of the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from initcheck.inspection.exact import Exact, SameRandom
from initcheck.inspection.findings import Finding, InspectionError, NotJudged
from initcheck.inspection.first import first_step
from initcheck.inspection.functions import judge, watched
from initcheck.inspection.passes import (
    LARGE,
    Gradients,
    Runner,
    first_sample,
    in_float64,
    on_cpu,
)
from initcheck.inspection.sketches import jittered, length
from initcheck.inspection.slopes import MOST, Slopes
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named
from initcheck.inspection.unchanged import cloned

#: A gradient may differ from float64 by so many times what flipping last bits changes. Sound
#: modules of five libraries reach 3.7 (docs/inspect.md).
ENVELOPES = 30.0
#: And by so large a part of its length. A ReLU or a maximum that flips changes less.
PART = 0.01
#: A gradient is rounding alone if it is so many times smaller in float64.
VANISHES = 0.01
#: Devices may round products of float32 to 10 bits of the 23.
_BIT_OF_DEVICES = 13
#: A float64 copy is made only of smaller modules: 64 million bytes more.
_COPY = 8_000_000


@dataclass(frozen=True)
class Compared:
    """A gradient as the module computes it, compared with float64.

    Attributes:
        difference: the length of the difference, and of both gradients.
        envelope: how far flipped last bits move it.
    """

    name: str
    difference: float
    length: float
    exact: float
    envelope: float

    @property
    def wrong(self) -> bool:
        """Whether rounding cannot explain the difference."""
        return self.difference > ENVELOPES * self.envelope and self.difference > PART * max(
            self.length, self.exact
        )

    @property
    def rounding_alone(self) -> bool:
        """Whether nothing is left of the gradient in float64."""
        return self.exact < VANISHES * self.length and self.difference <= ENVELOPES * self.envelope


def check_first_gradient(start: Start) -> Iterator[Finding]:
    """Compare the gradient with float64 on the CPU, and that with the slope of the loss."""
    if _ordinary(start):
        why = (
            f"more than {LARGE:,} numbers in float32 on the CPU, without a backward of your own: "
            "float64 would take more than three times the module's memory"
        )
        start.not_judged.append(NotJudged("first_gradient", "", why))
        return
    runner = _runner(start, start.built.module)
    low = runner.gradients(SameRandom())
    exact_runner, exact = _exact(on_cpu(runner, start.seeds[0]))
    if abs(exact.loss - low.loss) > 0.05 * max(abs(exact.loss), 1.0):
        why = (
            f"the loss is {low.loss:.6g}, and {exact.loss:.6g} in float64, so its forward pass is "
            "random, jumps, or loses its digits in its own dtype, as a difference of large numbers"
        )
        start.not_judged.append(NotJudged("first_gradient", "", why))
        return
    compared = _compared(runner, low, exact)
    wrong = [each for each in compared if each.wrong]
    if wrong:
        wrong = _confirmed(start, wrong)
    yield from _differs(start, wrong)
    yield from _rounding_alone(start, compared)
    if not wrong:
        yield from _slopes(start, exact_runner, exact)


def _ordinary(start: Start) -> bool:
    """Whether a large module runs on torch's own float32 operations on the CPU alone."""
    parameters = list(start.built.module.parameters())
    return (
        sum(each.numel() for each in parameters) > LARGE
        and start.subject.device == "cpu"
        and all(each.dtype == torch.float32 for each in parameters)
        and not first_step(start).functions
    )


def _runner(start: Start, module: torch.nn.Module) -> Runner:
    runner = Runner.of(start.subject, module, start.subject.next_batch())
    if runner.numbers <= LARGE:
        return runner
    one = replace(runner, batch=first_sample(runner.batch))
    try:
        one.loss(SameRandom())
    except (InspectionError, RuntimeError):  # as batch normalization of a single sample
        return runner
    return one


def _exact(runner: Runner) -> tuple[Runner, Gradients]:
    """The gradients in float64, without a copy of the module if that is possible.

    Raises:
        InspectionError: an operation does not exist in float64.
    """
    try:
        return runner, runner.gradients(Exact())
    except (InspectionError, RuntimeError, TypeError, ValueError) as error:
        if runner.numbers > _COPY:
            raise InspectionError(f"It cannot be computed in float64: {error}") from error
    copy = in_float64(runner)
    try:
        return copy, copy.gradients(Exact())
    except (InspectionError, RuntimeError, TypeError, ValueError) as error:
        raise InspectionError(f"It cannot be computed in float64: {error}") from error


def _compared(runner: Runner, low: Gradients, exact: Gradients) -> list[Compared]:
    """All gradients; without an envelope, and so without another pass, if all are near."""
    near = low
    if any(
        length(one - exact.summaries[name]) > PART * length(one)
        for name, one in low.summaries.items() if name in exact.summaries
    ):  # fmt: skip
        near = _jittered(runner)
    return _with_envelope(runner, low, exact, near)


def _jittered(runner: Runner) -> Gradients:
    batch = cloned(runner.batch)
    bit = 0 if runner.subject.device == "cpu" else _BIT_OF_DEVICES
    with jittered(runner.module.parameters(), batch, bit):
        return replace(runner, batch=batch).gradients(SameRandom())


def _with_envelope(
    runner: Runner, low: Gradients, exact: Gradients, near: Gradients
) -> list[Compared]:
    dtypes = {name: each.dtype for name, each in runner.module.named_parameters()}
    found = []
    for name, one in low.summaries.items():
        if name in exact.summaries and name in near.summaries and name in dtypes:
            info = torch.finfo(dtypes[name])
            rounding = info.eps * length(one) + info.smallest_normal * info.eps * len(one) ** 0.5
            found.append(
                Compared(
                    name,
                    difference=length(one - exact.summaries[name]),
                    length=length(one),
                    exact=length(exact.summaries[name]),
                    envelope=max(length(one - near.summaries[name]), rounding),
                )
            )
    return found


def _confirmed(start: Start, wrong: list[Compared]) -> list[Compared]:
    """Those that are wrong from the second seed, too: a flip of a maximum would not be."""
    runner = _runner(start, start.subject(start.seeds[1], None).module)
    low = runner.gradients(SameRandom())
    _, exact = _exact(on_cpu(runner, start.seeds[1]))
    again = {each.name for each in _compared(runner, low, exact) if each.wrong}
    return [each for each in wrong if each.name in again]


def _differs(start: Start, wrong: list[Compared]) -> Iterator[Finding]:
    by_owner: dict[str, list[Compared]] = {}
    for each in wrong:
        if each.name in start.tensors:
            owner = type(start.tensors[each.name].owner).__name__
            by_owner.setdefault(owner, []).append(each)
    for several in by_owner.values():
        worst = max(several, key=lambda each: each.difference / each.envelope)
        part = worst.difference / max(worst.length, worst.exact)
        times = worst.difference / worst.envelope
        shown = f"{times:,.0f}" if times < 1e6 else "more than a million"
        underflow = start.tensors[worst.name].tensor.dtype == torch.float16
        yield start.finding(
            "first_gradient", "note" if underflow else "fail",
            [start.tensors[each.name] for each in several],
            value=times,
            message=f"The first gradient of {worst.name} differs from float64 on the CPU by "
            f"{part:.1%} of its length: {shown} times what "
            f"rounding changes, where {ENVELOPES:.0f} are allowed.",
            repair="Scale the loss, or compute in bfloat16." if underflow else
            "Look for an operation on this device and in this dtype whose backward is wrong.",
        )  # fmt: skip


def _rounding_alone(start: Start, compared: list[Compared]) -> Iterator[Finding]:
    alone = [each for each in compared if each.rounding_alone and each.name in start.tensors]
    if alone:
        start.rounded |= {each.name for each in alone}
        largest = max(alone, key=lambda each: each.length)
        yield start.finding(
            "asleep", "note", [start.tensors[each.name] for each in alone],
            value=largest.length,
            message=f"Their gradient is rounding alone: of {largest.name} it is "
            f"{largest.length:.1e} long, and {largest.exact:.1e} in float64. The loss does not "
            "depend on them, as on a bias before batch normalization or on the bias of a key.",
            repair="Leave them out, or freeze them: Adam moves them at random.",
        )  # fmt: skip


# --- the slope of the loss ------------------------------------------------------------------------


def _slopes(start: Start, runner: Runner, exact: Gradients) -> Iterator[Finding]:
    """Compare the float64 gradient with finite differences, and explain where they differ."""
    with watched(exact.functions) as calls:
        if exact.functions:
            runner.loss(Exact(), grad=True)
    judged = {kind: judge(call) for kind, call in calls.items()}
    if runner.numbers > LARGE and all(each.verdict == "right" for each in judged.values()):
        why = f"it takes too long for more than {LARGE:,} numbers"
        start.not_judged.append(NotJudged("first_gradient", "slope of the loss", why))
        return
    slopes = Slopes(runner, exact)
    try:
        differing = slopes.differing()
        if not differing:
            return
    except (InspectionError, RuntimeError, ValueError) as error:
        start.not_judged.append(NotJudged("first_gradient", "slope of the loss", str(error)))
        differing = []
    named: list[Named] = [start.tensors[name] for name in differing if name in start.tensors]
    wrong = {kind: each for kind, each in judged.items() if each.verdict == "wrong"}
    affected = named or [each for each in start.tensors.values() if each.trainable]
    for kind, each in wrong.items():
        yield start.finding(
            "first_gradient", "fail", affected, value=each.backward,
            message=f"The backward of {kind.__name__} is not the derivative of its forward: for "
            f"input {each.place} it gives {each.backward:.6g}, and the slope is {each.slope:.6g}.",
            repair=f"Correct {kind.__name__}.backward; torch.autograd.gradcheck tests it.",
        )  # fmt: skip
    if wrong or not named:
        return
    on_purpose = [kind.__name__ for kind, each in judged.items() if each.verdict == "on purpose"]
    reason = _reason(runner, exact, on_purpose)
    if not reason and not _differs_again(start, differing):
        return
    yield start.finding(
        "first_gradient", "note" if reason else "warn", named, value=slopes.part,
        message=f"Their gradient is not the slope of the loss: along random signs it differs by "
        f"{_shown(slopes.part)} its length. {reason or 'Nothing in the forward pass explains it.'}",
        repair="Look for .data, numpy or an operation without a correct backward, unless this is "
        "meant.",
    )  # fmt: skip


def _shown(part: float) -> str:
    if part < 10:
        return f"{part:.1%} of"
    return f"{part:,.0f} times" if part < MOST else f"more than {MOST:,.0f} times"


def _reason(runner: Runner, exact: Gradients, on_purpose: list[str]) -> str:
    if on_purpose:
        return f"{', '.join(on_purpose)} defines another gradient on purpose."
    if exact.on_purpose:
        return f"{', '.join(sorted(exact.on_purpose))} defines another gradient on purpose."
    parts = list(runner.module.modules())
    hooked = exact.hooks or any(part._backward_hooks or part._backward_pre_hooks for part in parts)  # noqa: SLF001
    if hooked or any(each._backward_hooks for each in runner.module.parameters()):  # noqa: SLF001
        return "A backward hook changes it."
    if exact.cuts:
        return "The forward pass uses detach(), .data, item() or no_grad()."
    return ""


def _differs_again(start: Start, names: list[str]) -> bool:
    """Whether the second seed shows the same."""
    runner = _runner(start, start.subject(start.seeds[1], None).module)
    runner, exact = _exact(on_cpu(runner, start.seeds[1]))
    return bool({*Slopes(runner, exact).differing()} & {*names})
