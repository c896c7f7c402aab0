"""An arm's reference: what is recorded of it, and how a later training of it compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.arms import DTYPES, Arm, derived, order, stream
from initcheck.envelope import twins
from initcheck.envelope.compare import FACTOR, Departure, curves, envelopes, growth, steps_judged
from initcheck.envelope.fingerprints import (
    alike,
    as_json,
    first_difference,
    order_marks,
    start_marks,
)
from initcheck.envelope.twins import Rounding
from initcheck.training import randomness
from initcheck.training.train import Trained

LAYER_SEEDS = 4  # each costs a forward and a backward pass whenever an arm is judged to have left


def record(arm: Arm, trained: Trained, disturbed: Sequence[Trained]) -> dict[str, Any]:
    """What is stored of an arm: judged steps, curves, envelope, start, order, layers at step 0.

    Args:
        arm: what was trained.
        trained: the reference, S seeds.
        disturbed: twins; in each, the reference's seeds in its order, once or several times over.
    """
    losses = torch.cat([twin.losses for twin in disturbed])
    finite = trained.losses.isfinite().all(0)
    steps = [step for step in steps_judged(arm.recipe.steps) if finite[step]]
    reference = curves(trained.losses, steps)
    eps = torch.finfo(DTYPES[arm.recipe.dtype]).eps
    return {
        "seeds": list(trained.seeds),
        "steps": steps,
        "losses": reference.tolist(),
        "envelope": growth(reference, curves(losses, steps), eps).tolist(),
        "start": start_marks(trained.start),
        "order": order_marks(trained.first_batch),
        "layers": layers_at_start(arm, trained),
    }


def compare(arm: Arm, trained: Trained, recorded: dict[str, Any]) -> Departure:
    """Judge a trained arm, whose first seeds are those of the reference, by the record."""
    count = min(len(trained.seeds), len(recorded["seeds"]))
    elsewhere = _elsewhere(trained, recorded, count)
    if elsewhere is not None:
        return elsewhere
    if not recorded["steps"] and not arm.recipe.steps:
        return Departure(None, why_not="it takes no step: its start is as recorded")
    ratio, why_not = envelopes(curves(trained.losses[:count], recorded["steps"]), recorded)
    r = None if why_not else float(ratio.max())
    if r is None or r <= FACTOR:
        return Departure(r, why_not=why_not)
    step = recorded["steps"][int((ratio > FACTOR).nonzero()[0, 0])]
    layer = first_difference(layers_at_start(arm, trained), recorded["layers"], count)
    return Departure(r, first_step=step, first_layer=layer)


def _elsewhere(trained: Trained, recorded: dict[str, Any], count: int) -> Departure | None:
    """A start or a data order that is not the recorded one; older records have no order."""
    now, before = start_marks(trained.start), recorded["start"]
    order = [[float(mark)] for mark in order_marks(trained.first_batch)]
    order_before = [[float(mark)] for mark in recorded["order"]] if "order" in recorded else order
    layer = first_difference(now, before, count)
    if layer is None and order[:count] == order_before[:count]:
        return None
    same = alike(now, before, count) or alike({"": order}, {"": order_before}, count)
    why_not = f"the {'start' if layer else 'data order'} has changed"
    return Departure(None, first_layer=layer, start=False, alike=same, why_not=why_not)


def layers_at_start(arm: Arm, trained: Trained) -> dict[str, list[list[float]]]:
    """For each layer, seed by seed, activation mean square and gradient norms at step 0."""
    rows = [_layers(arm, seed, trained) for seed in trained.seeds[:LAYER_SEEDS]]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _layers(arm: Arm, seed: int, trained: Trained) -> dict[str, list[float]]:
    module = arm.build(seed).to(trained.device)
    # Without a step there is a first batch all the same.
    recipe = replace(arm.recipe, steps=1, keep_at=())
    images = order(seed, len(trained.data.train_targets), recipe)[0].to(trained.device)
    seen: dict[str, list[float]] = {}

    def watch(name: str) -> Any:
        def look(_layer: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.is_floating_point():
                seen[name] = as_json(output.detach().square().mean().cpu()[None])

        return look

    hooks = [m.register_forward_hook(watch(name)) for name, m in _leaves(module)]
    with randomness.seeded(derived(seed, "training"), trained.device):
        logits = module(trained.data.train_inputs[images])
        loss = F.cross_entropy(logits, trained.data.train_targets[images])
        torch.autograd.backward(loss)
    for hook in hooks:
        hook.remove()
    grads = {
        f"{name} gradient": as_json(p.grad.norm().cpu()[None])
        for name, p in module.named_parameters()
        if p.grad is not None
    }
    return seen | grads


def _leaves(module: nn.Module) -> list[tuple[str, nn.Module]]:
    leaves = [(n, m) for n, m in module.named_modules() if next(m.children(), None) is None]
    return [(name or "network", m) for name, m in leaves]


def twin_jitter(arm: Arm) -> Callable[[int], Rounding]:
    """For ``train``: the rounding errors of a chunk of twins, by its first replica."""
    dtype = DTYPES[arm.recipe.dtype]
    eps, drawn = (torch.finfo(t).eps for t in (dtype, torch.float32))

    def chunk(first: int) -> Rounding:
        generator = stream(first, "twin")
        normal = torch.randn(twins.POOL, generator=generator, dtype=dtype)
        return Rounding(normal * eps + 1, generator, normal * drawn + 1 if eps < drawn else None)

    return chunk
