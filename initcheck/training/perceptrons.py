"""Multilayer perceptrons, where most of the time goes: a whole chunk as one autograd node.

At these sizes a step is mostly dispatch. So the parameters of all replicas are in one flat tensor,
which is one leaf to autograd and one tensor to the optimizer. The layers run in a plain loop, and
the backward pass calls the kernels that autograd would call.
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
NARROW = 16  # outputs: products with so few columns take 5 times as long as with so few rows
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # arXiv 1706.02515, Appendix A

# dL/dx of y = module(x), as a function of the module, dL/dy, x and y.
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
    """The names of a linear layer's parameters, and the activation that follows it."""

    weight: str
    bias: str | None
    activation: nn.Module
    narrow: bool


def stack(starts: Sequence[nn.Module], device: str) -> Stack | None:
    """The starts as one flat leaf, or None if the network is not a chain of linear layers."""
    links = _links(starts[0])
    if links is None:
        return None
    wide = {link.weight for link in links if not link.narrow}

    def turn(name: str, parameter: Tensor) -> Tensor:
        """From the module's layout to the flat leaf's and back, as in ``stacked.turn``."""
        return parameter.mT if name in wide else parameter

    turned = [{name: turn(name, p.detach()) for name, p in m.named_parameters()} for m in starts]
    shapes = {name: torch.Size([len(starts), *p.shape]) for name, p in turned[0].items()}
    first = next(iter(turned[0].values()))
    flat = torch.empty(sum(shape.numel() for shape in shapes.values()), dtype=first.dtype)
    views = _views(flat, shapes)
    for row, parameters in enumerate(turned):
        for name, parameter in parameters.items():
            views[name][row].copy_(parameter)  # torch transposes one matrix fast, a stack slowly
    flat = flat.to(device).requires_grad_()
    chain = Chain(links, shapes, flat)

    def forward(x: Tensor) -> Tensor:
        logits: Tensor = _Pass.apply(flat, x.flatten(2), chain)
        return logits

    return Stack(
        "ensemble", [flat], forward, list(shapes), lambda name: turn(name, chain.values[name])
    )  # fmt: skip


def _links(module: nn.Module) -> list[Link] | None:
    """The links of a Flatten and linear layers, each with at most one activation; else None."""
    (_, first), *parts = leaves(module) or [("", module)]
    frozen = any(not p.requires_grad for p in module.parameters())
    if frozen or type(first) is not nn.Flatten or (first.start_dim, first.end_dim) != (1, -1):
        return None
    links: list[Link] = []
    none_yet = nn.Identity()
    for name, layer in parts:
        if type(layer) is nn.Linear:
            bias = None if layer.bias is None else f"{name}.bias"
            links.append(Link(f"{name}.weight", bias, none_yet, layer.out_features <= NARROW))
        elif type(layer) in DERIVATIVES and links and links[-1].activation is none_yet:
            links[-1] = replace(links[-1], activation=not_in_place(layer))
        else:
            return None
    return links or None


@dataclass(frozen=True)
class Layer:
    """A linear layer of all replicas: views of the flat parameters and of their gradient."""

    activation: nn.Module
    weight: Tensor  # (R, I, O)
    weight_grad: Tensor  # (R, I, O); (R, O, I) for a narrow layer, as its weight is stored
    narrow: bool
    bias: Tensor | None  # (R, 1, O)
    bias_grad: Tensor | None

    def forward(self, x: Tensor) -> Tensor:
        """The pre-activation ``(R, B, O)`` of the input ``(R, B, I)``."""
        if self.bias is None:
            return torch.bmm(x, self.weight)  # (R, B, I) (R, I, O) -> (R, B, O)
        return torch.baddbmm(self.bias, x, self.weight)

    def backward(self, x: Tensor, grad: Tensor) -> None:
        """Write dL/dW and dL/db, from the layer's input ``(R, B, I)`` and dL/dy ``(R, B, O)``."""
        if self.narrow:
            torch.bmm(grad.mT, x, out=self.weight_grad)  # (R, O, B) (R, B, I) -> (R, O, I)
        else:
            torch.bmm(x.mT, grad, out=self.weight_grad)  # (R, I, B) (R, B, O) -> (R, I, O)
        if self.bias_grad is not None:
            torch.sum(grad, 1, keepdim=True, out=self.bias_grad)


class Chain:
    """The layers as views of the flat leaf, made once for all steps.

    The gradient has one buffer for all steps, so no step allocates memory of that size.
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
    """Each parameter's view of a flat tensor, by name."""
    parts = torch.split(flat, [shape.numel() for shape in shapes.values()])
    return {
        name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


class _Pass(torch.autograd.Function):
    """``leaf, x -> logits``; the backward pass writes each layer's gradient into the buffer."""

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
        leaf, buffer = ctx.chain.leaf, ctx.chain.grad
        earlier = None if leaf.grad is None else leaf.grad.clone()  # not cleared, so they add up
        while ctx.seen:
            layer, x, before, after = ctx.seen.pop()
            grad = DERIVATIVES[type(layer.activation)](layer.activation, grad, before, after)
            layer.backward(x, grad)
            if ctx.seen:
                grad = torch.bmm(grad, layer.weight.mT)  # (R, B, O) (R, O, I) -> (R, B, I)
        leaf.grad = buffer if earlier is None else buffer.add_(earlier)
        return None, None, None  # if returned, autograd would copy the buffer
