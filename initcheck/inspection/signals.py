"""Checks of the first step: how signals grow, dead units, and what the first loss says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from initcheck.inspection.findings import Finding, NotJudged, Severity
from initcheck.inspection.first import first_step, is_line
from initcheck.inspection.losses import Loss
from initcheck.inspection.observed import Layer
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named, constant

#: Decades of the mean square between the first and the last quarter of the layers. Sound models of
#: torchvision and timm reach 6.0 (docs/inspect.md).
DECADES = 10.0
#: Fewer layers have no quarters.
_LAYERS = 4
#: A first loss so many nats above equal probabilities is confidently wrong. Sound models
#: reach 7.9 (docs/inspect.md).
FAR = 10.0
#: So many nats are a note: logits with a standard deviation near 1.4.
NOTED = 1.0
#: The largest published scale of cosines: CLIP clips its own there (arXiv 2103.00020, section 2.5).
SCALE = 100.0
#: Predictions whose mean square is so many times that of the targets.
_LARGE = 100.0


def check_signal(start: Start) -> Iterator[Finding]:
    """Mean squares of outputs and of gradients over the depth, and layers with equal units."""
    first = first_step(start)
    layers = [each for each in first.layers.values() if _owned(start, each)]
    if not layers:
        why = "no layer with parameters was called, or all of them are scripted"
        start.not_judged.append(NotJudged("signal", "", why))
    for layer in layers:
        named = [each for each in _owned(start, layer) if each.tensor.dim() > 1]
        inner = any(True for _ in layer.owner.children())  # it has other parts that compute
        if layer.one_direction and named and not inner:
            yield _one_direction(start, named)
    reached = [
        each for each in layers
        if not start.rounded.issuperset(named.name for named in _owned(start, each))
    ]  # fmt: skip
    outputs = [(each, each.forward) for each in layers]
    gradients = [(each, each.backward or 0.0) for each in reached]
    yield from _decades(start, "outputs", outputs, DECADES)
    yield from _decades(start, "gradients", gradients, DECADES + _gates(start))


def _one_direction(start: Start, named: list[Named]) -> Finding:
    """A layer with one direction of outputs: its units are copies, or its inputs are lost."""
    if all(is_line(each.tensor.detach().flatten(1)) is False for each in named):
        message = (
            "Its outputs are multiples of one vector, though its units differ: next to its bias, "
            "what its inputs say is lost in rounding."
        )
        repair = "Scale the weights of the layers before it by their fan-in."
    else:
        message = (
            "All of its units return multiples of one number, and its inputs do not: the units "
            "are copies of one."
        )
        repair = "Draw the weight at random instead of filling it."
    return start.finding("signal", "fail", named, value=1.0, message=message, repair=repair)


def _gates(start: Start) -> float:
    """Decades by which the smallest constant of a gate scales gradients, as LayerScale does."""
    values = [
        abs(float(each.tensor.detach().flatten()[0])) for each in start.tensors.values()
        if each.trainable and each.tensor.numel() and not each.tensor.is_complex()
        and constant(each.tensor)
    ]  # fmt: skip
    return max((-2 * math.log10(each) for each in values if 0 < each < 1), default=0.0)


def _decades(
    start: Start, name: str, values: list[tuple[Layer, float]], allowed: float
) -> Iterator[Finding]:
    judged = [(layer, math.log10(each)) for layer, each in values if 0 < each < math.inf]
    if len(judged) < _LAYERS:
        return
    quarter = max(len(judged) // 4, 1)
    change = median(each for _, each in judged[-quarter:]) - median(
        each for _, each in judged[:quarter]
    )
    if abs(change) > allowed:
        grows = change > 0
        ends = [layer for layer, _ in (judged[-quarter:] if grows else judged[:quarter])]
        named = [each for layer in ends for each in _owned(start, layer)]
        yield start.finding(
            "signal", "warn", named, value=change,
            message=f"From the first to the last quarter of {len(judged)} layers the mean square "
            f"of their {name} changes by {change:+.1f} decades, where {allowed:.0f} are allowed.",
            repair="Scale the weights by their fan-in, or normalize between layers.",
        )  # fmt: skip


def _owned(start: Start, layer: Layer) -> list[Named]:
    return [each for each in start.tensors.values() if each.parameter and each.path == layer.path]


def check_dead_units(start: Start) -> Iterator[Finding]:
    """ReLU layers in which every input is negative: a warning, unless `asleep` fails there."""
    first = first_step(start)
    for relu in first.relus:
        layer = first.layers.get(relu.path)
        named = _owned(start, layer) if layer else []
        if not named or 2 * relu.dead <= relu.units:
            continue
        whole = relu.negative and relu.dead == relu.units
        yield start.finding(
            "units", "warn" if whole else "note", named, value=relu.dead / relu.units,
            message=f"{relu.dead} of {relu.units} units of the ReLU after it are zero for the "
            "whole batch.",
            repair="Use a larger batch to see whether they are dead, and a bias near zero.",
        )  # fmt: skip


# --- the first loss -------------------------------------------------------------------------------


def check_start_loss(start: Start) -> Iterator[Finding]:
    """The first loss against equal probabilities, or a prediction of zero."""
    first = first_step(start)
    if not first.losses:
        why = "the loss is neither cross entropy nor mean squares, so its start is not known"
        start.not_judged.append(NotJudged("start_loss", "", why))
        return
    for loss in dict.fromkeys(first.losses):
        if loss.classes:
            yield from _classes(start, loss)
        elif loss.value > _LARGE * loss.chance > 0:
            yield _finding(
                start, "note", loss,
                f"The first loss, in mean squares, is {loss.value:.4g}; a prediction of "
                f"zero gives {loss.chance:.4g}.",
                "Scale the targets, or start the layer that feeds the loss smaller.",
            )  # fmt: skip


def _classes(start: Start, loss: Loss) -> Iterator[Finding]:
    """Judge a loss by the smaller of two excesses: with the labels, and for any labels.

    A prior in a bias has the second alone, a margin on the target's logit the first alone.
    """
    excess = min(loss.value, loss.without_labels) - loss.chance
    if excess <= NOTED:
        return
    meant = _prior(start, loss, excess)
    if loss.cosines and excess <= 2 * SCALE:  # cosines lie between -1 and 1
        meant = " Its logits are cosines times a scale, so the scale alone decides."
    equal = f"ln {loss.classes} = {loss.chance:.4g}"
    yield _finding(
        start, "warn" if excess > FAR and not meant else "note", loss,
        f"The first {loss.kind} is {loss.value:.4g}, and {loss.without_labels:.4g} for "
        f"labels at random, where equal probabilities give {equal}: the start is confident and "
        f"wrong.{meant}",
        "Leave it, if that is meant." if meant else
        "Start the layer that feeds the loss smaller, or scale its input; tied embeddings of "
        "N(0, 1) need a scale of 1 / sqrt(width).",
    )  # fmt: skip


def _finding(start: Start, severity: Severity, loss: Loss, message: str, repair: str) -> Finding:
    """A finding about the parameters that feed a loss, or about the whole module."""
    named = [each for name, each in start.tensors.items() if name in loss.sources]
    if named:
        return start.finding(
            "start_loss", severity, named, value=loss.value, message=message, repair=repair
        )
    owner = type(start.built.module).__name__
    return Finding(
        check="start_loss", severity=severity, parameters=(), owner=owner, value=loss.value,
        message=message, repair=repair,
    )  # fmt: skip


def _prior(start: Start, loss: Loss, excess: float) -> str:
    """A sentence about a bias that holds a prior, if one for these classes explains the excess.

    A bias changes a cross entropy by at most the distance of its largest from its smallest entry.
    """
    for each in start.tensors.values():
        sizes = {loss.classes} if loss.classes > 2 else set()
        bias = each.trainable and each.tensor.dim() == 1 and each.attribute.endswith("bias")
        if bias and each.tensor.numel() in sizes:
            spread = float(each.tensor.detach().float().max() - each.tensor.detach().float().min())
            if spread > NOTED and excess - spread <= NOTED:
                return f" {each.name} holds a prior."
    return ""
