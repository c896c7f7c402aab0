"""All replicas of a chunk in one step: stacked layers, or ``torch.func`` where there are none."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck import devices
from initcheck.arms import Optimizer
from initcheck.devices import compute
from initcheck.training import modules, perceptrons, plain, stacked
from initcheck.training.randomness import UNCOPIED
from initcheck.training.stacked import Tensors
from initcheck.training.work import PROGRESS_EVERY, Outcome, Stack, Work, check_logits

# Options by which a recipe says itself which of torch's implementations runs.
IMPLEMENTATIONS = {"foreach", "fused", "differentiable"}
# Optimizers that treat each number alone. Others (Adafactor, Muon) look at a whole tensor, and
# stacking would make replicas see each other.
ELEMENTWISE = {
    "SGD", "Adam", "AdamW", "Adagrad", "ASGD", "Adadelta", "Adamax", "NAdam", "RAdam", "RMSprop",
    "Rprop",
}  # fmt: skip


def run(starts: Sequence[nn.Module], work: Work) -> Outcome:
    """Train all starts at once; ``Outcome.engine`` says in which way it could."""
    if not _elementwise(work.recipe.optimizer) or not work.recipe.steps:
        return plain.run(starts, work)  # without a step there is nothing to stack
    if stacked.gradients_hooked(starts[0]):
        return plain.run(starts, work)  # a stacked parameter has none of their hooks
    behind, images = stacked.pooled_ahead(starts, work.data.train_inputs)
    pooled = replace(work, data=replace(work.data, train_inputs=images))
    made = perceptrons.stack(behind, work.device) or stacked.stack(behind, work.device)
    if made is None:
        pooled, made = work, _mapped(starts, work)
    if made is None:
        return plain.run(starts, work)
    with compute.subnormals_flushed():
        return _train(made, pooled)


def _elementwise(optimizer: Optimizer) -> bool:
    """Whether it may see stacks; of a class of one's own, whatever its name, nothing is known."""
    return optimizer.kind is None and optimizer.name in ELEMENTWISE


def _mapped(starts: Sequence[nn.Module], work: Work) -> Stack | None:
    """A forward pass by ``torch.func.vmap``, or None for a module that it cannot map."""
    if next(starts[0].buffers(), None) is not None:
        return None  # buffers are updated in place, which vmap would write to the template
    if any(map(modules.replaced, starts[0].modules())):
        return None  # that function may mean its first module's parameters, also in a copy
    if any(map(modules.holds_more, starts)):
        return None  # the template's would be every replica's
    try:
        alike = all(_answers_alike(some, work) for some in (starts, _drawn(starts)))
    except (*UNCOPIED, ValueError):  # data-dependent control flow, .item(), random numbers
        return None
    return _over(starts, work.device) if alike else None


def _over(starts: Sequence[nn.Module], device: str) -> Stack:
    """The starts as a copy of the first computes with their parameters; starts stay uncalled."""
    template = copy.deepcopy(starts[0])

    def one(parameters: Tensors, _: Tensors, x: Tensor) -> Tensor:
        called: Tensor = torch.func.functional_call(template, dict(parameters), (x,))
        return called

    return stacked.together(
        starts, device, torch.func.vmap(one), lambda p: p, "ensemble (torch.func)"
    )


def _drawn(starts: Sequence[nn.Module]) -> list[nn.Module]:
    """Copies whose parameters are random: zeros answer alike whatever else a module computes."""
    generator = torch.Generator().manual_seed(0)
    copies = [copy.deepcopy(start) for start in starts]
    with torch.no_grad():
        for parameter in (p for network in copies for p in network.parameters()):
            inputs = max(1, parameter.shape[1:].numel())  # answers stay of the size of the images
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / inputs**0.5)
    return copies


def _answers_alike(starts: Sequence[nn.Module], work: Work) -> bool:
    """Whether each start answers its first batch the same by itself, but for rounding.

    What a module holds beside its parameters (a gain, an order of its inputs) is the template's in
    every replica.
    """
    batches = work.data.train_inputs[work.batches[:, 0]]
    mapped: object = _over(starts, work.device).forward(batches.clone())
    answers = [
        copy.deepcopy(start).to(batches.device)(batch)
        for start, batch in zip(starts, batches, strict=True)
    ]
    if not all(isinstance(answer, Tensor) for answer in [mapped, *answers]):
        return False  # no logits: plain steps refuse them
    own: Tensor = torch.stack(answers).detach()
    margin = torch.finfo(batches.dtype).eps ** 0.5  # of the largest logit: half of the digits
    largest = float(own.nan_to_num(0.0, 0.0, 0.0).abs().max())
    return torch.allclose(cast("Tensor", mapped), own, margin, margin * largest, equal_nan=True)


def _train(stack: Stack, work: Work) -> Outcome:
    replicas, steps, batch = work.batches.shape
    optimizer = _optimizer(stack, work)
    inputs, shape = work.data.train_inputs.flatten(1), work.data.train_inputs.shape[1:]
    images = work.batches.transpose(0, 1).flatten(1)  # (steps, R * B)
    targets = work.data.train_targets[images]
    losses = torch.empty(steps, replicas * batch, dtype=inputs.dtype, device=work.device)
    share = torch.full((replicas * batch,), 1 / batch, dtype=inputs.dtype, device=work.device)
    kept = {}
    for step, (seen, wanted) in enumerate(zip(images, targets, strict=True)):
        if work.jitter is not None:
            work.jitter.parameters(stack.leaves)
        x = inputs.index_select(0, seen).view(replicas, batch, *shape)
        logits = stack.forward(x)  # (R, B, classes)
        if step == 0:
            _check(logits, work)  # a user's module may err
        each = F.cross_entropy(logits.flatten(0, 1), wanted, reduction="none")
        optimizer.zero_grad()
        counted = share if work.jitter is None else work.jitter.shares(share)
        each = each.to(share.dtype)  # a network may answer in another than its images
        torch.autograd.backward(each.dot(counted))  # the mean of each replica's own batch
        optimizer.step()
        losses[step] = each.detach()
        if step + 1 in work.recipe.keep_at:
            kept[step + 1] = {name: stack.read(name) for name in work.recipe.keep}
        devices.end_step(work.device)
        if step % PROGRESS_EVERY == 0:
            work.progress(replicas * min(PROGRESS_EVERY, steps - step))
    return Outcome(
        parameters={name: stack.read(name) for name in stack.names},
        buffers=stack.buffers,
        losses=losses.view(steps, replicas, batch).mean(2).T.cpu().double(),
        kept=kept,
        engine=stack.engine,
    )


def _optimizer(stack: Stack, work: Work) -> torch.optim.Optimizer:
    chosen = work.recipe.optimizer
    free = not IMPLEMENTATIONS & dict(chosen.options).keys()
    fusible = free and chosen.name in devices.fused_optimizers(work.device)
    fused: dict[str, Any] = {"fused": True} if fusible else {}
    return chosen.over(stack.leaves, **fused)


def _check(logits: object, work: Work) -> None:
    one = logits[0] if isinstance(logits, Tensor) and logits.dim() else logits
    check_logits(one, work.recipe.batch, work.data.classes)
