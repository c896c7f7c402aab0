"""The engine that trains all replicas of a chunk at once.

It uses stacked layers, ``torch.func.vmap`` if a layer has no stacked form, and plain loops if
neither is possible.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from initcheck import devices
from initcheck.arms import DTYPES, Optimizer
from initcheck.devices import compute
from initcheck.training import attention, modules, perceptrons, plain, replay, stacked
from initcheck.training.randomness import UNCOPIED
from initcheck.training.stacked import Tensors
from initcheck.training.work import (
    PROGRESS_EVERY,
    Outcome,
    Stack,
    Work,
    check_logits,
    cross_entropy,
    precise,
)

# Options by which a recipe chooses one of torch's implementations.
IMPLEMENTATIONS = {"foreach", "fused", "differentiable"}
# Optimizers that update each number independently. Others (Adafactor, Muon) use a whole tensor, so
# stacking would mix replicas.
ELEMENTWISE = {
    "SGD", "Adam", "AdamW", "Adagrad", "ASGD", "Adadelta", "Adamax", "NAdam", "RAdam", "RMSprop",
    "Rprop",
}  # fmt: skip
# How torch begins to warn that vmap has no rule for an operator and calls it once per replica.
NO_RULE = "There is a performance drop"
ALIKE = 2  # modules that it is compared with, if all differ in their parameters only
COMPARED = 4  # images per replica on which vmap is compared with the modules; a batch costs more
_WARNINGS = threading.Lock()  # chunks in several threads share the warning filters


def run(starts: Sequence[nn.Module], work: Work, *, replaying: bool = False) -> Outcome:
    """Train all starts at once, or in plain loops if they cannot be stacked.

    ``replaying``: the device records one step and replays it, where that is possible: not with the
    random rounding errors of twins. ``Outcome.engine`` names the way that was taken.

    Raises:
        DeviceError: ``replaying`` on a device that cannot record a step.
    """
    if replaying:
        devices.require_recording([work.device])
    if not _elementwise(work.recipe.optimizer) or not work.recipe.steps:
        return plain.run(starts, work)  # without steps, stacking saves nothing
    if stacked.gradients_hooked(starts[0]):
        return plain.run(starts, work)  # stacked parameters have no hooks
    rest, images = stacked.pooled_first(starts, work.data.train_inputs)
    pooled = replace(work, data=replace(work.data, train_inputs=images))
    # A perceptron's parameters are one tensor, which has one learning rate.
    stack = None if work.recipe.rates else perceptrons.stack(rest, work.device)
    stack = stack or stacked.stack(rest, work.device)
    if stack is None:
        pooled, stack = work, _mapped(starts, work)
    if stack is None:
        return plain.run(starts, work)
    with compute.subnormals_flushed():
        return _train(stack, pooled, replaying=replaying and replay.possible(work))


def _elementwise(optimizer: Optimizer) -> bool:
    """Whether the optimizer may update a stack; a custom class may not, whatever its name."""
    return optimizer.kind is None and optimizer.name in ELEMENTWISE


def _mapped(starts: Sequence[nn.Module], work: Work) -> Stack | None:
    """The starts with a forward pass by ``torch.func.vmap``, or None if vmap may get it wrong."""
    if next(starts[0].buffers(), None) is not None:
        return None  # buffers are updated in place: vmap would update the template's
    if any(map(modules.replaced, starts[0].modules())):
        return None  # in a copy too, that function may use the first module's parameters
    if any(map(modules.pads, starts[0].modules())):
        return None  # vmap gives the padding row of every replica but the first a gradient
    alike = modules.alike(starts)
    if any(map(modules.holds_more, starts[:1] if alike else starts)):
        return None  # every replica would use the template's
    tried = starts[:ALIKE] if alike else starts
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.filterwarnings("error", message=NO_RULE)
            copies = [copy.deepcopy(start) for start in tried]  # a forward pass may change them
            exact = _maps_exactly(copies, work)
            exact = exact and _maps_exactly(_with_random_weights(copies), work)
    except (*UNCOPIED, ValueError, UserWarning):
        return None  # data-dependent control flow, .item(), random numbers, an unknown operator
    return _vmapped(starts, work.device) if exact else None


def _vmapped(starts: Sequence[nn.Module], device: str) -> Stack:
    """The starts' parameters in a copy of the first start; the starts themselves are not called."""
    template = copy.deepcopy(starts[0])

    def forward(parameters: Tensors, _: Tensors, x: Tensor) -> Tensor:
        logits: Tensor = torch.func.functional_call(template, dict(parameters), (x,))
        return logits

    mapped = torch.func.vmap(forward)

    def attending(parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        with attention.Together():
            return mapped(parameters, buffers, x)

    return stacked.together(starts, device, attending, lambda p: p, "ensemble (torch.func)")


def _with_random_weights(copies: Sequence[nn.Module]) -> Sequence[nn.Module]:
    """Draw their parameters: zeros would hide any other difference between modules."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in (p for network in copies for p in network.parameters()):
            inputs = max(1, parameter.shape[1:].numel())  # logits get the images' magnitude
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / inputs**0.5)
    return copies


def _maps_exactly(copies: Sequence[nn.Module], work: Work) -> bool:
    """Whether vmap gives each copy's own logits of its first images, apart from rounding.

    It does not if modules differ in more than their parameters, such as a gain or an order of
    inputs, since every replica uses the template's.
    """
    batches = work.data.train_inputs[work.batches[: len(copies), 0, :COMPARED]]
    mapped: object = _vmapped(copies, work.device).forward(batches.clone())
    answers = [
        one.to(batches.device)(batch) for one, batch in zip(copies, batches, strict=True)
    ]  # fmt: skip
    if not all(isinstance(answer, Tensor) for answer in [mapped, *answers]):
        return False  # not tensors: plain loops report them as an error
    own: Tensor = torch.stack(answers).detach()
    margin = (
        torch.finfo(DTYPES[work.recipe.dtype]).eps ** 0.5
    )  # relative to the largest logit: half the digits
    largest = float(own.nan_to_num(0.0, 0.0, 0.0).abs().max())
    return torch.allclose(cast("Tensor", mapped), own, margin, margin * largest, equal_nan=True)


def _train(stack: Stack, work: Work, *, replaying: bool) -> Outcome:
    replicas, steps, _ = work.batches.shape
    images = work.batches.transpose(0, 1).flatten(1)  # (steps, R * B)
    targets = work.data.train_targets[images]
    update = _update(stack, work, replaying=replaying)
    replayed = replay.Replayed(update, images, targets, work.device) if replaying else None
    watch = work.watch(slice(replicas)) if work.watch else None
    kept, losses = {}, []
    each_step = zip(devices.rows(images), devices.rows(targets), strict=True)
    for step, (chosen, labels) in enumerate(each_step):
        if work.jitter is not None:
            work.jitter.parameters(stack.leaves)
        if watch is not None and step == 0:
            watch.start(stack.tensors)
        losses.append(replayed(step, chosen, labels) if replayed else update(chosen, labels))
        if watch is not None:
            watch.after(step, stack.tensors)
        if step + 1 in work.recipe.keep_at:
            kept[step + 1] = {name: stack.read(name) for name in work.recipe.keep}
        devices.end_step(work.device)
        if step % PROGRESS_EVERY == 0:
            work.progress(replicas * min(PROGRESS_EVERY, steps - step))
    return Outcome(
        parameters={name: stack.read(name) for name in stack.names},
        buffers=stack.buffers,
        losses=devices.stack(losses).view(steps, replicas, -1).mean(2).T.cpu().double(),
        kept=kept,
        engine=f"{stack.engine}, replayed" if replayed and not replayed.refusal else stack.engine,
        ways=watch.ways() if watch else (),
    )


def _update(stack: Stack, work: Work, *, replaying: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """The update of one step, from its images and labels ``(R * B,)`` to each image's loss."""
    replicas, _, batch = work.batches.shape
    optimizer = _optimizer(stack, work, replay.options(work.recipe.optimizer) if replaying else {})
    inputs, shape = work.data.train_inputs.flatten(1), work.data.train_inputs.shape[1:]
    dtype = precise(torch.empty(0, dtype=DTYPES[work.recipe.dtype])).dtype
    share = torch.full((replicas * batch,), 1 / batch, dtype=dtype, device=work.device)
    checked = False

    def update(chosen: Tensor, labels: Tensor) -> Tensor:
        nonlocal checked
        x = inputs.index_select(0, chosen).view(replicas, batch, *shape)
        logits = stack.forward(x)  # (R, B, classes) or (R, B, T, classes)
        if not checked:
            _check(logits, work)  # a custom module may return anything
            checked = True
        each = cross_entropy(precise(logits.flatten(0, 1)), labels, each=True)  # (R * B,)
        optimizer.zero_grad()
        shares = share if work.jitter is None else work.jitter.shares(share)
        each = each.to(share.dtype)  # a network may compute in another dtype than its images have
        torch.autograd.backward(each.dot(shares))  # the sum of the replicas' mean losses
        optimizer.step()
        return each.detach()

    return update


def _optimizer(
    stack: Stack, work: Work, options: Mapping[str, Any] | None = None
) -> torch.optim.Optimizer:
    optimizer = work.recipe.optimizer
    unspecified = not IMPLEMENTATIONS & dict(optimizer.options).keys()
    fusible = unspecified and optimizer.name in devices.fused_optimizers(work.device)
    chosen: dict[str, Any] = {**({"fused": True} if fusible else {}), **(options or {})}
    if not work.recipe.rates:
        return optimizer.over(stack.leaves, **chosen)
    return work.recipe.over(zip(stack.names, stack.leaves, strict=True), **chosen)


def _check(logits: object, work: Work) -> None:
    first = logits[0] if isinstance(logits, Tensor) and logits.dim() else logits
    check_logits(first, work)
