"""Multilayer perceptrons, where most of the time goes: a whole chunk as one autograd node.

At these sizes a step is mostly dispatch. So the parameters of all replicas lie in one flat tensor,
which is one leaf to autograd and one tensor to the optimizer, and the layers are gone through by
hand, backwards with the kernels that autograd itself would call.
Letters: R replicas, B batch, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from initcheck.training.stacked import leaves, not_in_place
from initcheck.training.work import Stack

Views = dict[str, Tensor]

aten = torch.ops.aten
NARROW = 16  # outputs: products with so few columns run at a fifth of the speed of those with rows
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # arXiv 1706.02515, Appendix A

# dL/dx of y = module(x), from the module, dL/dy, x and y.
DERIVATIVES: dict[type[nn.Module], Callable[[Any, Tensor, Tensor, Tensor], Tensor]] = {
    nn.Identity: lambda m, grad, x, y: grad,
    nn.ReLU: lambda m, grad, x, y: aten.threshold_backward(grad, y, 0),
    nn.Tanh: lambda m, grad, x, y: aten.tanh_backward(grad, y),
    nn.Sigmoid: lambda m, grad, x, y: aten.sigmoid_backward(grad, y),
    nn.SiLU: lambda m, grad, x, y: aten.silu_backward(grad, x),
    nn.GELU: lambda m, grad, x, y: aten.gelu_backward(grad, x, approximate=m.approximate),
    nn.ELU: lambda m, grad, x, y: aten.elu_backward(grad, m.alpha, 1, 1, False, x),
    nn.CELU: lambda m, grad, x, y: aten.elu_backward(grad, m.alpha, 1, 1 / m.alpha, False, x),
    nn.SELU: lambda m, grad, x, y: aten.elu_backward(grad, SELU_ALPHA, SELU_SCALE, 1, False, x),
}


@dataclass(frozen=True)
class Link:
    """A linear layer's parameters by name, and the activation behind it."""

    weight: str
    bias: str | None
    activation: nn.Module
    narrow: bool


def stack(starts: Sequence[nn.Module], device: str) -> Stack | None:
    """The starts as one flat leaf, or None where the network is no chain of linear layers."""
    links = _links(starts[0])
    if links is None:
        return None
    state, _ = torch.func.stack_module_state(list(starts))
    narrow = {link.weight for link in links if link.narrow}

    def turn(name: str, parameter: Tensor) -> Tensor:
        """Between the module's layout and this one, as ``stacked.turn``."""
        return parameter.mT if parameter.dim() == 3 and name not in narrow else parameter

    laid = {name: turn(name, p.detach()) for name, p in state.items()}
    flat = torch.cat([p.flatten() for p in laid.values()]).to(device).requires_grad_()
    chain = Chain(links, {name: p.shape for name, p in laid.items()}, flat)

    def forward(x: Tensor) -> Tensor:
        logits: Tensor = _Pass.apply(flat, x.flatten(2), chain)
        return logits

    def read(name: str) -> Tensor:
        return turn(name, chain.values[name]).clone(memory_format=torch.contiguous_format)

    return Stack("ensemble", [flat], forward, list(state), read)


def _links(module: nn.Module) -> list[Link] | None:
    """Flatten, then linear layers with an activation or none behind each; else None."""
    (_, first), *parts = leaves(module) or [("", module)]
    frozen = any(not p.requires_grad for p in module.parameters())
    if frozen or type(first) is not nn.Flatten or (first.start_dim, first.end_dim) != (1, -1):
        return None
    links: list[Link] = []
    bare = nn.Identity()
    for name, layer in parts:
        if type(layer) is nn.Linear:
            bias = None if layer.bias is None else f"{name}.bias"
            links.append(Link(f"{name}.weight", bias, bare, layer.out_features <= NARROW))
        elif type(layer) in DERIVATIVES and links and links[-1].activation is bare:
            links[-1] = replace(links[-1], activation=not_in_place(layer))
        else:
            return None
    return links or None


@dataclass(frozen=True)
class Layer:
    """A linear layer of all replicas: parts of the flat parameters and of their gradient."""

    activation: nn.Module
    weight: Tensor  # (R, I, O)
    weight_grad: Tensor  # (R, I, O), of a narrow layer (R, O, I): as its weight lies
    narrow: bool
    bias: Tensor | None  # (R, 1, O)
    bias_grad: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """What goes into the activation."""
        if self.bias is None:
            return torch.bmm(x, self.weight)  # (R, B, I) (R, I, O) -> (R, B, O)
        return torch.baddbmm(self.bias, x, self.weight)

    def backward(self, x: Tensor, grad: Tensor) -> None:
        """Write dL/dW and dL/db, from the layer's input and dL/dy, ``(R, B, O)``."""
        if self.narrow:
            torch.bmm(grad.mT, x, out=self.weight_grad)  # (R, O, B) (R, B, I) -> (R, O, I)
        else:
            torch.bmm(x.mT, grad, out=self.weight_grad)  # (R, I, B) (R, B, O) -> (R, I, O)
        if self.bias_grad is not None:
            torch.sum(grad, 1, keepdim=True, out=self.bias_grad)


class Chain:
    """The layers, and where each parameter lies in the flat leaf; views are made once, not a step.

    The gradient has one place, too, so that no step asks for new memory of that size.
    """

    def __init__(self, links: list[Link], shapes: dict[str, torch.Size], leaf: Tensor) -> None:
        self.leaf, self.grad = leaf, torch.empty_like(leaf)
        self.values, grads = _views(leaf.detach(), shapes), _views(self.grad, shapes)
        self.layers = [self._layer(link, grads) for link in links]

    def _layer(self, link: Link, grads: Views) -> Layer:
        weight, bias, narrow = self.values[link.weight], link.bias, link.narrow
        return Layer(
            link.activation, weight.mT if narrow else weight, grads[link.weight], narrow,
            None if bias is None else self.values[bias].unsqueeze(1),
            None if bias is None else grads[bias].unsqueeze(1),
        )  # fmt: skip


def _views(flat: Tensor, shapes: dict[str, torch.Size]) -> Views:
    """Each parameter's part of a flat tensor."""
    parts = torch.split(flat, [shape.numel() for shape in shapes.values()])
    return {
        name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


class _Pass(torch.autograd.Function):
    """``leaf, x -> logits``; the gradient is written into place, layer by layer."""

    @staticmethod
    def forward(ctx: Any, _: Tensor, x: Tensor, chain: Chain) -> Tensor:
        ctx.chain, ctx.seen = chain, []
        for layer in chain.layers:
            before = layer.forward(x)
            after = layer.activation(before)
            ctx.seen.append((layer, x, before, after))
            x = after
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, ...]:
        leaf, own = ctx.chain.leaf, ctx.chain.grad
        held = None if leaf.grad is None else leaf.grad.clone()  # not cleared: the two add up
        while ctx.seen:
            layer, x, before, after = ctx.seen.pop()
            grad = DERIVATIVES[type(layer.activation)](layer.activation, grad, before, after)
            layer.backward(x, grad)
            if ctx.seen:
                grad = torch.bmm(grad, layer.weight.mT)  # (R, B, O) (R, O, I) -> (R, B, I)
        leaf.grad = own if held is None else own.add_(held)
        return None, None, None  # autograd would copy a gradient that somebody else holds
