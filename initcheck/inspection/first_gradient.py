"""A check of the first gradient: against float64, and against the slope of the loss."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from initcheck.inspection.compared import (
    ENVELOPES,
    Compared,
    compared_with,
    exact_gradients,
    of_second_seed,
    runner_of,
)
from initcheck.inspection.exact import Exact, SameRandom
from initcheck.inspection.findings import Finding, InspectionError, NotJudged
from initcheck.inspection.first import first_step
from initcheck.inspection.functions import judge, watched
from initcheck.inspection.passes import LARGE, Gradients, Runner, on_cpu
from initcheck.inspection.rounding import rounding_alone
from initcheck.inspection.slopes import MOST, Slopes
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named

#: In float64, outputs are kept for the backward pass, with those of layers without parameters.
_KEPT = 3


def check_first_gradient(start: Start) -> Iterator[Finding]:
    """Compare the gradient with float64 on the CPU, and that with the slope of the loss."""
    if _too_large(start):
        why = (
            f"it has more than {LARGE:,} numbers, in float32 on the CPU: float64 would take more "
            "than three times the module's memory for its largest tensor and its outputs"
        )
        start.not_judged.append(NotJudged("first_gradient", "", why))
        return
    runner = runner_of(start, start.built.module)
    low = runner.gradients(SameRandom())
    exact_runner, exact = exact_gradients(on_cpu(runner, start.seeds[0]))
    if abs(exact.loss - low.loss) > 0.05 * max(abs(exact.loss), 1.0):
        why = (
            f"the loss is {low.loss:.6g}, and {exact.loss:.6g} in float64, so its forward pass is "
            "random, jumps, or loses its digits in its own dtype, as a difference of large numbers"
        )
        start.not_judged.append(NotJudged("first_gradient", "", why))
        return
    compared = compared_with(runner, low, exact)
    wrong = [each for each in compared if each.wrong]
    if wrong:
        wrong = _confirmed(start, wrong)
    if wrong and low.decisions != exact.decisions:
        why = (
            "a comparison, a maximum or an order in the forward pass falls otherwise in float64, "
            f"so that gradients differ, as that of {wrong[0].name}"
        )
        start.not_judged.append(NotJudged("first_gradient", "rounding", why))
        wrong = []
    yield from _differs(start, wrong)
    yield from rounding_alone(start, compared)
    if not wrong:
        yield from _slopes(start, exact_runner, exact)


def _too_large(start: Start) -> bool:
    """Whether one sample in float64 would take more than twice the memory of a large module.

    That is held: the largest tensor, its gradient, and the outputs. A module with a backward of
    its own, or off the CPU, is judged whatever its size is.
    """
    parameters = list(start.built.module.parameters())
    numbers = sum(each.numel() for each in parameters)
    if (
        numbers <= LARGE
        or start.subject.device != "cpu"
        or any(each.dtype != torch.float32 for each in parameters)
    ):
        return False
    first = first_step(start)
    outputs = _KEPT * first.outputs / max(first.samples, 1)
    largest = max(each.numel() for each in parameters)
    return not first.functions and 2 * largest + outputs > numbers


def _confirmed(start: Start, wrong: list[Compared]) -> list[Compared]:
    """Those that are wrong from the second seed, too: a flip of a maximum would not be."""
    again = {each.name for each in of_second_seed(start) if each.wrong}
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
    runner = runner_of(start, start.subject(start.seeds[1], None).module)
    runner, exact = exact_gradients(on_cpu(runner, start.seeds[1]))
    return bool({*Slopes(runner, exact).differing()} & {*names})
