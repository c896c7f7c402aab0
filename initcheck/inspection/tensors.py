"""The parameters and buffers of a module, and comparisons of their bits."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

#: The signed or unsigned integers whose bits are read, by size in bytes.
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Named:
    """A parameter or a buffer, where it is and who owns it.

    Attributes:
        name: as ``named_parameters`` or ``named_buffers`` gives it first.
        owner: the module whose attribute it is.
        path: the owner's name in the module; empty for the module itself.
        parameter: False for a buffer.
    """

    name: str
    tensor: Tensor
    owner: nn.Module
    path: str
    parameter: bool

    @property
    def trainable(self) -> bool:
        """Whether an optimizer would move it."""
        return self.parameter and self.tensor.requires_grad

    @property
    def attribute(self) -> str:
        """The name in its owner."""
        return self.name.rpartition(".")[2]


def named_tensors(module: nn.Module) -> list[Named]:
    """Every parameter and buffer once, by its first name."""
    found, seen = [], set()
    for path, owner in module.named_modules():
        prefix = f"{path}." if path else ""
        for tensors, parameter in ((owner._parameters, True), (owner._buffers, False)):  # noqa: SLF001
            for name, tensor in tensors.items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    found.append(Named(f"{prefix}{name}", tensor, owner, path, parameter))
    return found


def why_not_judged(tensor: Tensor) -> str:
    """Why the bits of a tensor cannot be read; empty if they can be."""
    if is_lazy(tensor):
        return "lazy: its shape is not known before a first batch"
    if tensor.is_meta:
        return "on meta: it has a shape, but no values"
    if tensor.is_quantized or tensor.is_nested:
        return "quantized" if tensor.is_quantized else "nested: it has no one shape"
    if tensor.layout != torch.strided:
        return f"sparse: its layout is {tensor.layout}"
    if type(tensor.data) is not Tensor:
        return f"{type(tensor.data).__name__} is a subclass of torch.Tensor"
    return ""


def bits(tensor: Tensor) -> Tensor:
    """The same memory as whole numbers, so that equal means equal in bits, NaN and -0 too."""
    tensor = tensor.detach()
    if tensor.is_conj() or tensor.is_neg():
        tensor = tensor.resolve_conj().resolve_neg()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.view(_INTEGERS[tensor.element_size()])


def any_nonzero(gradient: Tensor) -> bool:
    """Whether an entry is not zero; NaN is not. The first row is read first, and mostly decides."""
    if gradient.layout == torch.strided and gradient.dim() > 1 and len(gradient):
        return bool(gradient[0].any()) or bool(gradient.any())
    return bool(gradient.any())


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors have one shape, one dtype and the same bits."""
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(bits(a), bits(b))


def constant(tensor: Tensor) -> bool:
    """Whether all entries are equal in bits; also for fewer than two entries."""
    if tensor.numel() < 2:
        return True
    whole = bits(tensor)
    if tensor.is_complex():
        whole = whole.flatten(0, -2)
        return bool((whole == whole[:1]).all())
    flat = whole.flatten()
    return bool(flat[0] == flat[-1]) and bool((flat == flat[0]).all())


def digest(tensor: Tensor) -> bytes:
    """A hash of dtype, shape and bits."""
    hashed = hashlib.blake2b(f"{tensor.dtype}{tuple(tensor.shape)}".encode(), digest_size=16)
    hashed.update(bits(tensor).cpu().contiguous().numpy().data)
    return hashed.digest()


def storage(tensor: Tensor) -> int:
    """The address of the memory that holds a tensor; 0 if it has none, as a sparse one."""
    if is_lazy(tensor) or tensor.is_meta or tensor.layout != torch.strided:
        return 0
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):  # a subclass without memory
        return 0


#: So few entries that are not all different come from a law with few values. In larger tensors a
#: quarter may be different, since copies are what is looked for.
SMALL = 16
#: Bits of chance in one drawn entry, at most, by size in bytes: less than its mantissa.
_CHANCE = {1: 3, 2: 7, 4: 20}


def chance(tensor: Tensor, entries: int) -> float:
    """Bits of chance in this many entries of a tensor, judged by how many values it has.

    Two draws with ``b`` such bits are equal with a probability of about 2^-b.
    """
    sample = bits(tensor).flatten()[:4096]
    most = _CHANCE.get(tensor.element_size(), 45)
    distinct = len(torch.unique(sample))
    few = distinct < len(sample) if len(sample) < SMALL else distinct < len(sample) / 4
    return entries * (min(most, math.log2(max(distinct, 1))) if few else most)
