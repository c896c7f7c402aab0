"""Moments of a tensor's entries, and the fans of its owner."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from initcheck.inspection.laws import Moments
from initcheck.inspection.tensors import Named

CHUNK = 2**15  # entries at a time: for so few torch starts no threads, whose waits cost more
NOISE = 0x1217C4EC  # its seed, which no build is given: equal seeds would repeat the weights
SAMPLES = 64  # of noise that are sent through a layer
#: Noise tells a fan to a few percent. It chooses the nearest of the fans that the shape allows, if
#: that is this close, and is taken as it is otherwise.
NEAR = 0.25
LARGEST = 2**27  # operations of one call with noise


def moments(named: Named) -> Moments:
    """The moments of a tensor's entries, without the padding row of an embedding.

    It works on `CHUNK` entries at a time, in float32 or float64, and adds up in float64.
    """
    count, total, low, high = 0, 0.0, math.inf, -math.inf
    for chunk in chunks(named):
        count += chunk.numel()
        total += float(chunk.sum(dtype=torch.float64))
        least, most = chunk.aminmax()
        low, high = min(low, float(least)), max(high, float(most))
    mean = total / max(count, 1)
    squares = fourths = 0.0
    if low < high:
        for chunk in chunks(named):
            square = (chunk - mean).square_()
            squares += float(square.sum(dtype=torch.float64))
            fourths += float(square.square_().sum(dtype=torch.float64))
    variance = squares / max(count, 1)
    kurtosis = fourths / count / variance**2 if variance**2 > 0 else 0.0
    return Moments(count, mean, variance, kurtosis, low, high)


def _counted(named: Named) -> list[Tensor]:
    tensor = named.tensor.detach()
    padding = getattr(named.owner, "padding_idx", None)
    embedding = isinstance(named.owner, (nn.Embedding, nn.EmbeddingBag)) and tensor.dim() == 2
    if isinstance(padding, int) and embedding:
        return [tensor[:padding], tensor[padding + 1 :]]
    return [tensor]


def chunks(named: Named) -> Iterator[Tensor]:
    """At most `CHUNK` entries each, without the padding row of an embedding; not to be changed."""
    for part in _counted(named):
        flat = part.flatten()
        for first in range(0, len(flat), CHUNK):
            chunk = flat[first : first + CHUNK]
            yield chunk.float() if chunk.element_size() < 4 else chunk


# --- fans -----------------------------------------------------------------------------------------


def stored_fans(tensor: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out as torch counts them: from the shape alone, without groups."""
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def fans(named: Named, square: float) -> tuple[float, float]:
    """Fan-in and fan-out: how many inputs a unit has, and how many units an input.

    For torch's own layers they follow from the class. Any other layer without parts that takes one
    tensor is sent noise, and its fan-in is measured. Otherwise the stored fans are taken.

    Args:
        named: a weight with two dimensions or more.
        square: the mean square of its entries.
    """
    owner, tensor = named.owner, named.tensor
    inputs, outputs = _by_class(owner, named.attribute, tensor)
    if not type(owner).__module__.startswith("torch.nn."):
        measured = _measured(named, square)
        if measured is not None:
            choices = [(inputs, outputs), (outputs, inputs)]
            nearest = min(choices, key=lambda pair: abs(math.log(pair[0] / measured)))
            if abs(math.log(nearest[0] / measured)) < NEAR:
                return nearest
            return measured, inputs * outputs / measured if measured > 1 else outputs
    return inputs, outputs


def _by_class(owner: nn.Module, attribute: str, tensor: Tensor) -> tuple[float, float]:
    inputs, outputs = stored_fans(tensor)
    fans: tuple[float, float] = inputs, outputs
    if isinstance(owner, nn.modules.conv._ConvNd):  # noqa: SLF001 -- the base of all convolutions
        if owner.transposed:  # its weight is (in, out / groups, ...)
            fans = outputs / owner.groups / math.prod(owner.stride), inputs
        else:
            fans = inputs, outputs / owner.groups
    elif isinstance(owner, (nn.Embedding, nn.EmbeddingBag)):
        fans = 1, tensor.shape[1]
    elif isinstance(owner, nn.MultiheadAttention) and attribute == "in_proj_weight":
        fans = inputs, outputs / 3
    elif isinstance(owner, nn.Bilinear):
        fans = tensor.shape[1] * tensor.shape[2], tensor.shape[0]
    elif tensor.dim() == 3:  # experts or heads, each with a matrix
        fans = tensor.shape[2], tensor.shape[1]
    return fans


def _measured(named: Named, square: float) -> float | None:
    """The fan-in by which noise of variance 1 comes out; None if the owner cannot be called so."""
    owner, tensor = named.owner, named.tensor
    weights = [each for each in owner.parameters() if each.dim() > 1]
    if any(owner.children()) or len(weights) != 1 or not _takes_one_tensor(owner):
        return None
    if not square or not math.isfinite(square):
        return None
    training = owner.training
    try:
        for shape in _shapes(owner, tensor):
            gain = _gain(owner, shape, tensor)
            if gain:
                return gain / square
    finally:
        owner.train(training)
    return None


def _takes_one_tensor(owner: nn.Module) -> bool:
    try:
        parameters = inspect.signature(owner.forward).parameters.values()
    except (TypeError, ValueError):
        return False
    usual = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        each for each in parameters
        if each.default is each.empty and each.kind != each.VAR_KEYWORD
    ]  # fmt: skip
    return len(needed) == 1 and needed[0].kind in usual


def _shapes(owner: nn.Module, tensor: Tensor) -> Iterator[tuple[int, ...]]:
    """Shapes of inputs that the owner may take."""
    if isinstance(owner, nn.modules.conv._ConvNd):  # noqa: SLF001
        reach = [d * (k - 1) + 1 for d, k in zip(owner.dilation, owner.kernel_size, strict=True)]
        sides = [2 * each + stride for each, stride in zip(reach, owner.stride, strict=True)]
        yield (SAMPLES, owner.in_channels, *sides)
    elif isinstance(owner, (nn.Embedding, nn.EmbeddingBag)):
        return
    elif tensor.dim() == 2:
        for width in dict.fromkeys((tensor.shape[1], tensor.shape[0])):
            yield (SAMPLES, width)
    elif tensor.dim() == 4:
        yield (SAMPLES, tensor.shape[1], *(2 * each + 1 for each in tensor.shape[2:]))


@torch.no_grad()
def _gain(owner: nn.Module, shape: tuple[int, ...], tensor: Tensor) -> float | None:
    """The variance of the outputs for inputs of variance 1; away from the borders, if any."""
    if math.prod(shape) * tensor.shape[0] > LARGEST * 8 or tensor.numel() * SAMPLES > LARGEST * 32:
        return None
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(NOISE))
    noise = noise.to(tensor.device, tensor.dtype)
    owner.eval()
    try:
        out = owner.forward(noise) - owner.forward(torch.zeros_like(noise))
    except Exception:  # noqa: BLE001 -- user code that was guessed to take such a tensor
        return None
    if not isinstance(out, Tensor) or out.dim() != len(shape) or len(out) != SAMPLES:
        return None
    for dim in range(2, out.dim()):
        out = out.narrow(dim, out.shape[dim] // 2, 1)
    gain = float(out.float().square().mean())
    return gain if math.isfinite(gain) else None
