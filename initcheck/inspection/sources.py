"""Which parameters feed a loss: those of the last layers before it in the graph of autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

#: More layers that feed one loss, as the branches of a residual stream, have no last one.
_MOST = 4
#: The product of two matrices, and the names of the operands that autograd saves for it.
_PRODUCTS = {
    "MmBackward0": ("_saved_self", "_saved_mat2"),
    "AddmmBackward0": ("_saved_mat1", "_saved_mat2"),
    "BmmBackward0": ("_saved_self", "_saved_mat2"),
}
#: Lengths are equal if they differ by a smaller part.
_UNIT = 1e-3


class Sources:
    """Nodes of the graph at which layers end.

    Attributes:
        ends: names of the parameters of the layer whose output a node computes.
        names: of parameters, by ``id``.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.ends: dict[Any, tuple[str, ...]] = {}
        self.names = names

    def note(self, layer: nn.Module, output: Any) -> None:
        """Note what a layer without inner layers returned."""
        own = [self.names.get(id(each)) for each in layer.parameters()]
        names = tuple(each for each in own if each is not None)
        for each in torch.utils._pytree.tree_leaves(output):  # noqa: SLF001 -- no public name
            if isinstance(each, Tensor) and each.grad_fn is not None:
                self.ends.setdefault(each.grad_fn, names)

    def of(self, *given: Any) -> tuple[tuple[str, ...], bool]:
        """The parameters that a loss of these tensors sees first, and whether through cosines.

        Returns:
            Names of the parameters, of layers or without one; none if there are many layers. And
            whether every way leads through a product of rows of length one with columns of one
            length, whose entries are cosines times one number.
        """
        found: set[tuple[str, ...]] = set()
        waiting = [(each.grad_fn, False) for each in given if isinstance(each, Tensor)]
        seen, through = set(), []
        while waiting:
            node, cosine = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            cosine = cosine or _is_cosine(node)
            variable = getattr(node, "variable", None)
            leaf = self.names.get(id(variable))
            names = self.ends.get(node) or ((leaf,) if leaf is not None else ())
            if names:
                found.add(names)
                if variable is None or variable.numel() > 1:  # a single number is a scale
                    through.append(cosine)
            else:
                waiting += [(each, cosine) for each, _ in node.next_functions]
        few = len(found) <= _MOST
        every = tuple(sorted({name for names in found for name in names}))
        return every if few else (), bool(through) and all(through)


@torch.no_grad()
def _is_cosine(node: Any) -> bool:
    """Whether a node is a product of two matrices with rows and columns of one length.

    One of the lengths is one; a scale may be multiplied with the other operand, as in CLIP.
    """
    first, second = _PRODUCTS.get(type(node).__name__, ("", ""))
    try:
        left, right = getattr(node, first, None), getattr(node, second, None)
    except RuntimeError:  # it was freed, or written since
        return False
    if not isinstance(left, Tensor) or not isinstance(right, Tensor):
        return False
    lengths = [left.detach().float().norm(dim=-1), right.detach().float().norm(dim=-2)]
    equal = all(bool(((each / each.max() - 1).abs() < _UNIT).all()) for each in lengths)
    return equal and any(abs(float(each.max()) - 1) < _UNIT for each in lengths)
