"""Marks of an arm at its start: a few numbers by which parameters, images and layers are known."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.arms import Arm, derived, order
from initcheck.training import randomness
from initcheck.training.train import Trained

START_TOLERANCE = 1e-5  # relative; orthogonal_ moved by 1.8e-7 between torch 2.4.1 and 2.9.1
LAYER_SEEDS = 4  # each costs a forward and a backward pass whenever an arm is judged to have left
BEYOND = 1e30  # stands for an infinite distance, which JSON cannot hold


def start_marks(start: dict[str, Tensor]) -> dict[str, list[list[float]]]:
    """Two numbers a parameter and seed that almost surely change with any of its entries.

    The norm, and the projection on a fixed vector of random signs.
    """
    marks = {}
    for name, tensor in start.items():
        flat = tensor.reshape(len(tensor), -1).double()  # (R, entries)
        both = [flat.norm(dim=1), flat @ _signs(flat.shape[1])]
        marks[name] = _finite(torch.stack(both, 1))
    return marks


@functools.lru_cache(maxsize=16)  # arms share their networks' sizes
def _signs(entries: int) -> Tensor:
    generator = torch.Generator().manual_seed(entries)
    return torch.randint(2, (entries,), generator=generator).double() * 2 - 1


def _finite(numbers: Tensor) -> Any:
    """Nested lists that JSON can hold."""
    return numbers.double().nan_to_num(nan=BEYOND).clamp(-BEYOND, BEYOND).tolist()


def order_marks(first_batch: Tensor) -> list[int]:
    """One number a seed that almost surely changes with the images of the first batch.

    From ``(R, B)``: each image's place in the data times its place in the batch, summed.
    """
    places = torch.arange(1, first_batch.shape[1] + 1)
    marks: list[int] = (first_batch * places).sum(1).tolist()
    return marks


def alike(now: dict[str, Any], recorded: dict[str, Any], count: int) -> bool:
    """Whether all seeds have the same marks now, wherever they differed in the record."""

    def one(marks: list[list[float]]) -> bool:
        return first_difference({"": marks[:1] * count}, {"": marks[:count]}, count) is None

    varied = [name for name, marks in recorded.items() if name in now and not one(marks)]
    return bool(varied) and all(one(now[name]) for name in varied)


def first_difference(now: dict[str, Any], recorded: dict[str, Any], count: int) -> str | None:
    """The first name whose marks differ; marks are norms first, so those give the scale."""
    for name in dict.fromkeys([*now, *recorded]):
        before = torch.tensor(recorded.get(name, []), dtype=torch.float64)[:count]
        after = torch.tensor(now.get(name, []), dtype=torch.float64)[:count]
        if before.shape != after.shape:
            return name
        scale = before[..., :1].abs().clamp(min=torch.finfo(torch.float32).tiny)
        if not ((after - before).abs() <= START_TOLERANCE * scale).all():
            return name
    return None


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
                seen[name] = _finite(output.detach().square().mean().cpu()[None])

        return look

    hooks = [m.register_forward_hook(watch(name)) for name, m in _leaves(module)]
    with randomness.own(derived(seed, "training"), trained.device):
        logits = module(trained.data.train_inputs[images])
        loss = F.cross_entropy(logits, trained.data.train_targets[images])
        torch.autograd.backward(loss)
    for hook in hooks:
        hook.remove()
    grads = {
        f"{name} gradient": _finite(p.grad.norm().cpu()[None])
        for name, p in module.named_parameters()
        if p.grad is not None
    }
    return seen | grads


def _leaves(module: nn.Module) -> list[tuple[str, nn.Module]]:
    leaves = [(n, m) for n, m in module.named_modules() if next(m.children(), None) is None]
    return [(name or "network", m) for name, m in leaves]
