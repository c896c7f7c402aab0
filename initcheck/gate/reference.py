"""The reference of an arm: making its record, and comparing a later training with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.arms import DTYPES, Arm, derived, order, stream
from initcheck.baselines.checks import LAYER_SEEDS
from initcheck.baselines.evidence import REPAIR, BaselineError
from initcheck.envelope import twins
from initcheck.envelope.compare import (
    FLOOR,
    Departure,
    curves,
    envelopes,
    growth,
    steps_judged,
)
from initcheck.envelope.fingerprints import (
    as_json,
    became_identical,
    first_difference,
    order_marks,
    start_marks,
    start_tolerance,
)
from initcheck.envelope.twins import Rounding
from initcheck.gate import sketched
from initcheck.training import randomness
from initcheck.training.train import Trained
from initcheck.training.work import cross_entropy

MARK_DIGITS = 7  # of fingerprints, which are compared to ``START_TOLERANCE``


def record(arm: Arm, trained: Trained, disturbed: Sequence[Trained]) -> dict[str, Any]:
    """An arm's record: judged steps, losses, ways of its tensors, envelopes, and fingerprints.

    The fingerprints are of start, order and layers.

    Args:
        arm: the arm that was trained.
        trained: the reference, S seeds.
        disturbed: twins; each holds the reference's seeds in its order, once or several times.
    """
    losses = torch.cat([twin.losses for twin in disturbed])
    finite = trained.losses.isfinite().all(0)
    steps = [step for step in steps_judged(arm.recipe.steps) if finite[step]]
    reference = curves(trained.losses, steps)
    eps = torch.finfo(DTYPES[arm.recipe.dtype]).eps
    ways = sketched.record(trained, disturbed, steps)
    return {
        "seeds": list(trained.seeds),
        "steps": steps,
        "losses": reference.tolist(),
        "envelope": growth(reference, curves(losses, steps), eps).tolist(),
        "start": _shortened(start_marks(trained.start)),
        "order": order_marks(trained.first_batch),
        "layers": _shortened(layers_at_start(arm, trained)),
    } | ({"ways": ways} if ways else {})


def _shortened(marks: dict[str, list[list[float]]]) -> dict[str, list[list[float]]]:
    """The marks with as many digits as their comparison to ``START_TOLERANCE`` needs."""
    return {
        name: [[float(f"{mark:.{MARK_DIGITS}g}") for mark in row] for row in rows]
        for name, rows in marks.items()
    }


def compare(arm: Arm, trained: Trained, recorded: dict[str, Any]) -> Departure:
    """Compare a trained arm, whose first seeds are the reference's, with its record.

    Raises:
        BaselineError: the record lacks a seed or a step of this arm, or has one that is not its.
    """
    count = len(trained.seeds)
    problem = _unlike(arm, trained, recorded)
    if problem:
        raise BaselineError(f"The evidence of the arm {arm} {problem}. {REPAIR}")
    other_start = _other_start(trained, recorded, count)
    if other_start is not None:
        return other_start
    if not recorded["steps"] and not arm.recipe.steps:
        return Departure(None, why_not="it takes no step, and its start is as recorded")
    ratio, why_not = envelopes(curves(trained.losses[:count], recorded["steps"]), recorded)
    departure = sketched.departure(
        None if why_not else ratio, sketched.outside(trained, recorded), recorded, why_not
    )
    if not departure.left:
        return departure
    layer = first_difference(layers_at_start(arm, trained), recorded["layers"], count)
    return replace(departure, first_layer=layer)


def _unlike(arm: Arm, trained: Trained, recorded: dict[str, Any]) -> str:
    """Why a record cannot be one of this arm, or an empty text.

    A step is left out of a record only if a loss was not finite there.
    """
    if list(trained.seeds) != recorded["seeds"][: len(trained.seeds)]:
        return "was recorded on other seeds"
    steps = steps_judged(arm.recipe.steps)
    other = set(recorded["steps"]) - set(steps)
    if other:
        return f"has step {min(other)}, at which this arm is not judged"
    for step in set(steps) - set(recorded["steps"]):
        if trained.losses[:, step].isfinite().all():
            return f"lacks step {step}"
    least = FLOOR * torch.finfo(DTYPES[arm.recipe.dtype]).eps
    if any(width < least for width in recorded["envelope"]):
        return f"has an envelope below {least:.2g}, closer than two losses can be compared"
    return sketched.unlike(trained, recorded)


def _other_start(trained: Trained, recorded: dict[str, Any], count: int) -> Departure | None:
    """The departure of an arm whose start or data order has changed, else None.

    Older records have no data order.
    """
    now, before = start_marks(trained.start), recorded["start"]
    order = [[float(mark)] for mark in order_marks(trained.first_batch)]
    order_before = [[float(mark)] for mark in recorded["order"]] if "order" in recorded else order
    tolerance = start_tolerance(DTYPES[trained.arm.recipe.dtype])
    layer = first_difference(now, before, count, tolerance)
    if layer is None and order[:count] == order_before[:count]:
        return None
    identical = became_identical(now, before, count) or became_identical(
        {"": order}, {"": order_before}, count
    )
    why_not = f"the {'start' if layer else 'data order'} has changed"
    return Departure(None, first_layer=layer, start=False, alike=identical, why_not=why_not)


def layers_at_start(arm: Arm, trained: Trained) -> dict[str, list[list[float]]]:
    """Mean squares of activations and norms of gradients at step 0, by layer, one per seed."""
    rows = [_layers(arm, seed, trained) for seed in trained.seeds[:LAYER_SEEDS]]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _layers(arm: Arm, seed: int, trained: Trained) -> dict[str, list[float]]:
    module = arm.build(seed).to(trained.device)
    # An arm without steps gets a first batch here too.
    recipe = replace(arm.recipe, steps=1, keep_at=())
    images = order(seed, len(trained.data.train_targets), recipe)[0].to(trained.device)
    activations: dict[str, list[float]] = {}

    def recorder(name: str) -> Any:
        def hook(_layer: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                activations[name] = as_json(output.detach().square().mean().cpu()[None])

        return hook

    hooks = [m.register_forward_hook(recorder(name)) for name, m in _leaves(module)]
    with randomness.seeded(derived(seed, "training"), trained.device):
        logits = module(trained.data.train_inputs[images])
        loss = cross_entropy(logits, trained.data.train_targets[images])
        torch.autograd.backward(loss)
    for hook in hooks:
        hook.remove()
    grads = {
        f"{name} gradient": as_json(p.grad.norm().cpu()[None])
        for name, p in module.named_parameters()
        if p.grad is not None
    }
    return activations | grads


def _leaves(module: nn.Module) -> list[tuple[str, nn.Module]]:
    leaves = [(n, m) for n, m in module.named_modules() if next(m.children(), None) is None]
    return [(name or "network", m) for name, m in leaves]


def twin_jitter(arm: Arm) -> Callable[[int], Rounding]:
    """The ``jitter`` option of ``train`` for twins of the arm."""
    dtype = DTYPES[arm.recipe.dtype]
    eps, start_eps = (torch.finfo(t).eps for t in (dtype, torch.float32))

    def chunk(first: int) -> Rounding:
        generator = stream(first, "twin")
        normal = torch.randn(twins.POOL, generator=generator, dtype=dtype)
        start = normal * start_eps + 1 if eps < start_eps else None
        return Rounding(normal * eps + 1, generator, start)

    return chunk
