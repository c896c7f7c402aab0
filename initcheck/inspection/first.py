"""The first step of a module on a batch: signals of its layers, its losses, who has a gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from initcheck.inspection.calling import unreached
from initcheck.inspection.findings import InspectionError, NotJudged
from initcheck.inspection.functions import functions_of
from initcheck.inspection.losses import LOSSES, observed_loss
from initcheck.inspection.observed import First, Layer, Relu
from initcheck.inspection.rows import at_once, may_split, merged, samples_of, split
from initcheck.inspection.sources import Sources
from initcheck.inspection.start import Start
from initcheck.inspection.surroundings import give_back_after, seed_everything
from initcheck.inspection.tensors import Named, any_nonzero, named_tensors
from initcheck.inspection.unchanged import cloned, unchanged

_MADE = (
    "the forward pass makes it, so an optimizer that was made before does not move it. Make it in "
    "the constructor, or call the module once in the build function"
)
#: Mean losses of parts of a batch are that of the batch, but for rounding. So are mean squares of
#: outputs, whose sums in float32 were seen to differ by 2e-4.
_SAME, _SAME_OUTPUTS = 1e-4, 1e-2
RELU = (nn.functional.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


def first_step(start: Start) -> First:
    """The first step of the first seed in training mode; computed once.

    Raises:
        InspectionError: it cannot be taken, or its loss is not finite.
    """
    if start.first is None:
        start.first = _taken(start)
    return start.first


def _taken(start: Start) -> First:
    """The step, on a few samples at a time where that is equal and saves memory."""
    batch = start.subject.next_batch()
    samples = samples_of(batch)
    result = First(samples=samples, batch=batch)
    if may_split(start.built.module, samples):
        with torch.no_grad():
            result.loss = float(_observed(start, batch, result))
        result.at_once = at_once(start.built.module, result.outputs, samples)
        if result.at_once < samples and _in_parts(start, result):
            return result
        result = First(samples=samples, batch=batch)
    with directions(named_tensors(start.built.module), result):
        result.loss = float(_observed(start, batch, result, share=1.0))
    if not result.reached:
        raise unreached()
    return result


def _in_parts(start: Start, result: First) -> bool:
    """Take the step on parts of the batch; False if loss or outputs are not those of the batch."""
    total = 0.0
    outputs = dict.fromkeys(result.layers, 0.0)
    gradients: dict[str, float] = {}
    with directions(named_tensors(start.built.module), result):
        for batch, share in split(result.batch, result.at_once):
            part = First()
            total += share * float(_observed(start, batch, part, share=share))
            result.functions = result.functions or part.functions
            if len(part.losses) == len(result.losses):
                result.losses = [
                    replace(each, sources=seen.sources, cosines=seen.cosines)
                    for each, seen in zip(result.losses, part.losses, strict=True)
                ]
            for path, layer in part.layers.items():
                outputs[path] = outputs.get(path, 0.0) + share * layer.forward
                if layer.backward is not None:
                    gradients[path] = gradients.get(path, 0.0) + share * layer.backward
    for path, mean_square in gradients.items():
        if path in result.layers:
            result.layers[path].backward = mean_square
    same = abs(total - result.loss) <= _SAME * max(abs(total), 1.0)
    return bool(result.reached) and same and all(
        math.isclose(outputs[path], layer.forward, rel_tol=_SAME_OUTPUTS, abs_tol=1e-12)
        for path, layer in result.layers.items()
    )  # fmt: skip


def _observed(start: Start, batch: Any, result: First, *, share: float = 0.0) -> Tensor:
    """The loss, with what is seen on the way; and with a share of it, the backward pass.

    Raises:
        InspectionError: the loss is not finite or reaches no parameter.
    """
    module = start.built.module
    names = {id(each.tensor): each.name for each in named_tensors(module) if each.parameter}
    watch = _Watch(result, Sources(names))
    with unchanged(module), ExitStack() as stack:
        module.train()
        for path, part in module.named_modules():
            scripted = isinstance(part, torch.jit.ScriptModule)  # takes no hooks
            if not scripted and any(True for _ in part.parameters(recurse=False)):
                stack.callback(part.register_forward_hook(watch.layer(path)).remove)
        seed_everything(start.seeds[0], start.subject.device)
        with watch:
            loss = start.subject.first_loss(module, cloned(batch))
        if not bool(torch.isfinite(loss.detach())):
            message = f"the loss is {float(loss.detach())} at step 1 of seed {start.seeds[0]}"
            raise InspectionError(message)
        if share:
            if not loss.requires_grad:
                raise unreached()
            result.functions = functions_of(loss)
            watch.sources.ends.clear()  # it keeps the graph in memory
            (loss if share == 1.0 else share * loss).backward()  # type: ignore[no-untyped-call]
        made = [name for name, each in module.named_parameters() if id(each) not in names]
    known = {each.what for each in start.not_judged}
    start.not_judged += [NotJudged("all", name, _MADE) for name in made if name not in known]
    return loss.detach()


@contextmanager
def directions(tensors: Iterable[Named], result: First) -> Iterator[None]:
    """Note which gradients arrive and are not zero, and keep a byte of each entry of them."""

    def taking(name: str) -> Callable[[Tensor], None]:
        def hook(parameter: Tensor) -> None:
            gradient, parameter.grad = parameter.grad, None
            give_back_after(parameter)
            result.reached.add(name)
            if gradient is not None and any_nonzero(gradient):
                result.awake.add(name)
                result.moves[name] = merged(result.moves.get(name), _direction(gradient))

        return hook

    with ExitStack() as stack:
        for each in tensors:
            if each.trainable:
                handle = each.tensor.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
                    taking(each.name)
                )
                stack.callback(handle.remove)
        yield


@torch.no_grad()
def _direction(gradient: Tensor) -> Tensor:
    """The sign of each entry, in one byte; sparse and complex gradients as they are."""
    if gradient.is_sparse or gradient.is_complex():
        return gradient.detach()
    return gradient.sign().nan_to_num_(0.0).to(torch.int8)


class _Watch(TorchFunctionMode):
    """Notes layers by hooks, and ReLUs and losses as functions."""

    def __init__(self, result: First, sources: Sources) -> None:
        super().__init__()
        self.result = result
        self.sources = sources
        self.last = ""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if any(map(_is_mapped, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        if func in LOSSES:
            loss = observed_loss(func, args, kwargs)
            if loss is not None:
                sources, cosines = self.sources.of(*args, *kwargs.values())
                self.result.losses.append(replace(loss, sources=sources, cosines=cosines))
        if func in RELU:
            negative = bool((args[0].detach() < 0).all())
            output = func(*args, **kwargs)
            self._relu(output.detach(), negative)
            return output
        return func(*args, **kwargs)

    def _relu(self, output: Tensor, negative: bool) -> None:
        if output.dim() < 2 or not output.numel():
            return
        place = 1 if output.dim() in {2, 4, 5} else output.dim() - 1
        alive = (output.movedim(place, 0).flatten(1) > 0).any(1)
        dead = int((~alive).sum())
        self.result.relus.append(Relu(self.last, dead, len(alive), negative))

    def layer(self, path: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        """A hook that notes what a layer returns, and asks for its gradient."""

        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            with torch._C.DisableTorchFunction():  # noqa: SLF001
                self.last = path
                if not any(True for _ in module.children()):
                    self.sources.note(module, output)
                out = _tensor(output)
                self.result.outputs += 0 if out is None else out.numel()
                if path in self.result.layers or out is None or _is_mapped(out):
                    return
                layer = Layer(path, module, _mean_square(out))
                self.result.layers[path] = layer
                given = _tensor(inputs)
                layer.spread_out = _spread(out, self.result.samples)
                if given is not None:
                    layer.spread_in = _spread(given, self.result.samples)
                    layer.one_direction = is_line(out) is True and is_line(given) is False
                if out.requires_grad:
                    out.register_hook(  # type: ignore[no-untyped-call]
                        lambda grad: setattr(layer, "backward", _mean_square(grad))
                    )

        return hook


def _tensor(value: Any) -> Tensor | None:
    """The first floating-point tensor with numbers."""
    for each in torch.utils._pytree.tree_leaves(value):  # noqa: SLF001
        if isinstance(each, Tensor) and each.is_floating_point() and each.numel():
            return each
    return None


def _is_mapped(value: object) -> bool:
    """Whether this is a tensor inside ``torch.vmap``, whose numbers cannot be read."""
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor  # noqa: SLF001 -- has no public name
    return isinstance(value, Tensor) and wrapped(value)


def _at_least_float32(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


@torch.no_grad()
def _mean_square(tensor: Tensor) -> float:
    return (
        float(torch.linalg.vector_norm(tensor.detach(), dtype=_at_least_float32(tensor))) ** 2
        / tensor.numel()
    )


@torch.no_grad()
def _spread(tensor: Tensor, samples: int) -> float | None:
    """The largest distance of a sample from the first one, as a part of the mean length."""
    if samples < 2 or tensor.dim() < 2 or len(tensor) != samples:
        return None
    rows = tensor.detach()
    size = float(torch.linalg.vector_norm(rows, dtype=_at_least_float32(rows))) / math.sqrt(samples)
    if size == 0.0:
        return 0.0
    distances = [float(torch.linalg.vector_norm(each - rows[0])) for each in rows[1:]]
    return float(max(distances)) / size


#: So many rows, of so many units, are looked at to tell whether outputs are one line.
_ROWS, _UNITS = 64, 256


@torch.no_grad()
def is_line(tensor: Tensor) -> bool | None:
    """Whether the units' outputs are multiples of one vector, up to rounding of float32.

    None if that cannot be told: a single unit, equal rows, or zeros.
    """
    if tensor.dim() < 2:
        return None
    place = 1 if tensor.dim() in {2, 4, 5} else tensor.dim() - 1
    rows = tensor.detach().movedim(place, -1).flatten(0, -2)
    if rows.shape[-1] < 2 or len(rows) < 3:
        return None
    rows = rows[:: max(len(rows) // _ROWS, 1)][:_ROWS, :_UNITS].double().cpu()
    longest = rows[rows.norm(dim=1).argmax()]
    size = float(longest.norm())
    if not size or not bool(torch.isfinite(rows).all()) or bool((rows == rows[0]).all()):
        return None
    rest = rows - (rows @ longest / size**2)[:, None] * longest
    return float(rest.norm()) <= 64 * 2.0**-24 * float(rows.norm())
