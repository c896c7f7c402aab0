"""The reference engine: one plain ``nn.Module`` and ``torch.optim`` loop per seed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from initcheck import devices
from initcheck.training import randomness
from initcheck.training.work import (
    PROGRESS_EVERY,
    Jitter,
    Outcome,
    Watch,
    Work,
    check_logits,
    cross_entropy,
    join,
    precise,
)


def run(starts: Sequence[nn.Module], work: Work) -> Outcome:
    """Train the starts one after the other, each in a plain loop."""
    outcomes = []
    # On a lazy backend, batches[r] would be another graph for each r.
    each = zip(starts, work.seeds, work.batches, strict=True)
    for r, (start, seed, batches) in enumerate(each):
        # Each replica gets a copy: a jitter disturbs the start once and then forgets how.
        copied = replace(work, jitter=copy.copy(work.jitter))
        watch = work.watch(slice(r, r + 1)) if work.watch else None
        with randomness.seeded(seed, work.device):
            outcomes.append(_one(start, copied, batches, watch))
    return join(outcomes)


def _one(start: nn.Module, work: Work, batches: Tensor, watch: Watch | None) -> Outcome:
    module = start.to(work.device)
    losses, kept = _train(module, work, batches, watch) if len(batches) else (torch.empty(0), {})
    return Outcome(
        parameters={name: p.detach()[None] for name, p in module.named_parameters()},
        buffers={name: b.detach()[None] for name, b in module.named_buffers()},
        losses=losses[None].cpu().double(),
        kept=kept,
        engine="module",
        ways=watch.ways() if watch else (),
    )


def _train(
    module: nn.Module, work: Work, batches: Tensor, watch: Watch | None
) -> tuple[Tensor, dict[int, dict[str, Tensor]]]:
    """Train in place, and return the loss of each step and the parameters that the recipe keeps."""
    optimizer = work.recipe.over(module.named_parameters())

    def tensors() -> dict[str, Tensor]:
        named = (*module.named_parameters(), *module.named_buffers())
        return {name: tensor.detach()[None] for name, tensor in named}

    kept, losses = {}, []
    for step, images in enumerate(devices.rows(batches)):
        if work.jitter is not None:
            work.jitter.parameters(list(module.parameters()))
        if watch is not None and step == 0:
            watch.start(tensors)
        logits = module(work.data.train_inputs[images])
        check_logits(logits, work)
        loss = _loss(logits, work.data.train_targets[images], work.jitter)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.detach())
        if watch is not None:
            watch.after(step, tensors)
        if step + 1 in work.recipe.keep_at:
            kept[step + 1] = {
                name: module.get_parameter(name).detach().clone()[None] for name in work.recipe.keep
            }
        devices.end_step(work.device)
        if step % PROGRESS_EVERY == 0:
            work.progress(min(PROGRESS_EVERY, len(batches) - step))
    return devices.stack(losses), kept


def _loss(logits: Tensor, targets: Tensor, jitter: Jitter | None) -> Tensor:
    """The mean over the batch; for a twin, images have slightly unequal shares."""
    logits = precise(logits)
    if jitter is None:
        return cross_entropy(logits, targets)
    each = cross_entropy(logits, targets, each=True)
    return each @ jitter.shares(torch.full_like(each, 1 / len(each)).detach())
