"""What the arms that are not as recorded have in common, and who noticed a seeded fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from initcheck.report import formatting, shared
from initcheck.results import ClaimResult, Drift, Run

NAMED = 3  # arms, layers and claims that are named; the others are counted
GRADIENT = " gradient"  # how the name of a gradient ends that differs before any layer does

Arm = tuple[str, Drift]  # its name, and how it compares with its record

# What the first difference tells
# -------------------------------
# An arm that starts from other values has another initializer, other random numbers or another
# network. If the start is the recorded one, and a layer differs at step 0, then before any update:
# arithmetic or data. If all layers agree at step 0, and a tensor differs after its update, then
# gradients and steps are left: the optimizer, its learning rate, or a gradient. A first difference
# at a later step is that of something that changes over steps.


def fate(run: Run) -> tuple[str, bool]:
    """What became of the fault that a run seeds.

    Returns:
        A sentence, which is empty if the run has no fault or no results; and whether the fault was
        caught, and by every claim whose limit must catch it.
    """
    fault = run.settings.fault
    if not fault or not run.results:
        return "", False
    red = dict.fromkeys(result.id for result in run.results if result.verdict != "pass")
    bound = {
        result.id: result.claim
        for result in run.results for probe in result.probes if probe.fault == fault
    }  # fmt: skip
    if not red:
        return "It was not caught: all claims of this run pass.", False
    of = f"{len(red)} of {formatting.counted(len(run.results), 'claim')}"
    text = f"It was caught: {of} noticed it"
    missed = [claim for claim in bound if claim not in red]
    if missed:
        which = "a claim whose limit must catch it passes" if len(missed) == 1 else (
            f"{len(missed)} claims whose limits must catch it pass"
        )  # fmt: skip
        return f"{text}, but {which} ({_listed(missed)}).", False
    if bound:
        text += ", among them each of this run whose limit must catch it."
        return f"{text} What it breaks: initcheck explain {next(iter(bound.values()))}", True
    return f"{text}. No claim of this run names it as the one that its limit must catch.", True


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def common(results: Sequence[ClaimResult]) -> list[str]:
    """A paragraph per way in which arms are not as recorded: how many are, where, and what to do.

    The first says what red claims name more often than others, if that is clear. Nothing if all
    arms are as recorded, or were not compared.
    """
    arms = [
        (probe.name(side) or side, drift)
        for result in results for probe in result.probes
        for side, drift in formatting.drifts(probe)
    ]  # fmt: skip
    found = {name: [arm for arm in arms if _kind(arm[1]) == name] for name in WORDING}
    followed = sum(drift.r is not None for _, drift in arms)
    of = f"of {formatting.counted(len(arms), 'arm')}"
    by_step = f"of the {followed} arms that can be followed step by step"
    told = [
        f"{len(some)} {by_step if name == 'left' and followed > 1 else of} "
        f"{WORDING[name](some, len(some) == 1)}"
        for name, some in found.items() if some
    ]  # fmt: skip
    return [*filter(None, [shared.named(results)]), *told] if told else []


def _kind(drift: Drift) -> str:
    """The verdict; other images are apart, for which no parameter differs at the start."""
    other = drift.verdict == "changed start" and not drift.first_layer
    return "other images" if other else drift.verdict


def _images(_found: Sequence[Arm], single: bool) -> str:
    return (
        f"{'starts' if single else 'start'} from the recorded values, and "
        f"{'sees' if single else 'see'} other images first. Look at the data set, how it is read, "
        "and the order of images."
    )


def _start(found: Sequence[Arm], single: bool) -> str:
    names = _counted(name for name, _ in found)
    parameters = _counted(drift.first_layer for _, drift in found)
    return (
        f"{'starts' if single else 'start'} from other values than recorded: {names}, first in "
        f"{parameters}. That is before any training, so look at what sets these values: the "
        "initializer that these arms share, its random numbers, or the network."
    )


def _left(found: Sequence[Arm], single: bool) -> str:
    step = min((drift.first_step for _, drift in found if drift.first_step is not None), default=0)
    its = "its rounding envelope" if single else "their rounding envelopes"
    text = f"left {its}, {'' if single else 'the first of them '}at step {step}. "
    if step > 0:
        return text + (
            f"Steps are counted from 0, so the first {formatting.counted(step, 'update')} "
            f"{'is' if step == 1 else 'are'} as recorded. Look at what a later update has and the "
            "first has not: what the optimizer keeps (momentum, averages of gradients, corrections "
            "of their bias), a schedule, other images, a rare operation."
        )
    layers = [drift.first_layer for _, drift in found if drift.first_layer]
    if layers and all(layer.endswith(GRADIENT) for layer in layers):
        return text + (
            "The starts are the recorded ones, all layers compute the recorded numbers, and "
            f"gradients differ, first {_counted(layers)}. Look at the loss, the labels, and the "
            "way back through these layers."
        )
    if layers:
        return text + (
            "The starts are the recorded ones, and layers differ before the first update, first "
            f"{_counted(layers)}. Look at the arithmetic of these layers, and at the data."
        )
    tensors = _counted(drift.tensor for _, drift in found)
    if tensors:
        return text + (
            "The starts are the recorded ones, all layers agree before the first update, and "
            f"parameters differ after it, the farthest in {tensors}. Look at what makes that "
            "update: the optimizer, its learning rate, the gradient."
        )
    return text + (
        "The starts are the recorded ones, and the loss differs before the first update. Look at "
        "the loss function, the labels and the data."
    )


def _alike(_found: Sequence[Arm], single: bool) -> str:
    has = "has" if single else "have"
    return (
        f"{has} identical seeds that used to differ. Look at what ignores the seed: the "
        "initializer, or the order of images."
    )


def _moved(_found: Sequence[Arm], single: bool) -> str:
    return (
        f"{'ends' if single else 'end'} with other results, and no start or step shows why. Look "
        "at what is not followed: later steps, the test data, the probe."
    )


def _counted(names: Iterable[str | None]) -> str:
    """The names that occur, the most frequent first, each with how often."""
    counts = Counter(name for name in names if name)
    return _listed([f"{name} ({count})" for name, count in counts.most_common()])


#: The ways in which an arm is not as recorded, each with the words that follow a number of arms.
WORDING: dict[str, Callable[[Sequence[Arm], bool], str]] = {
    "changed start": _start,
    "other images": _images,
    "left": _left,
    "alike": _alike,
    "moved": _moved,
}
