"""Stacked layers: R replicas of a sequential network in one forward pass.

A stacked layer is a function ``(parameters, buffers, x) -> x``. The first dimension of every tensor
is R, and weights of linear layers are ``(R, I, O)``: see ``turn``.
Letters: R replicas, B batch, I inputs, O outputs, C channels, H and W image.
``stack`` returns None if a layer has no stacked form, and the caller falls back.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.utils.weak import WeakTensorKeyDictionary

from initcheck.datasets import changes
from initcheck.training.modules import hooked
from initcheck.training.work import Stack

Tensors = Mapping[str, Tensor]
Layer = Callable[[Tensors, Tensors, Tensor], Tensor]
Layout = Callable[[Tensor], Tensor]

# By images that still exist: what pooling layers made of them, by layer and changes in place.
POOLED: MutableMapping[Tensor, dict[str, Tensor]] = WeakTensorKeyDictionary()

# These layers take any number of dimensions, so R needs no special treatment.
POINTWISE = (
    nn.ReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid,
    nn.Softplus, nn.Identity,
)  # fmt: skip
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


def stack(starts: Sequence[nn.Module], device: str) -> Stack | None:
    """The starts as stacked layers, or None if a layer has no stacked form."""
    layers = [_layer(name, layer) for name, layer in leaves(starts[0])]
    known = [layer for layer in layers if layer is not None]
    if not known or len(known) < len(layers):
        return None

    def forward(parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        for layer in known:
            x = layer(parameters, buffers, x)
        return x

    return together(starts, device, forward, turn, "ensemble")


def together(
    starts: Sequence[nn.Module], device: str, layer: Layer, layout: Layout, engine: str
) -> Stack:
    """All starts on the device with this forward pass.

    ``layout`` converts a parameter from the module's layout to the forward pass's, and back.
    """
    template = dict(starts[0].named_parameters())
    parameters, buffers = torch.func.stack_module_state(list(starts))
    buffers = {name: buffer.to(device) for name, buffer in buffers.items()}
    leaves_by_name = {
        name: layout(p.detach().to(device))
        .contiguous()
        .requires_grad_(template[name].requires_grad)
        for name, p in parameters.items()
    }
    return Stack(
        engine, list(leaves_by_name.values()), lambda x: layer(leaves_by_name, buffers, x),
        list(leaves_by_name),
        lambda name: layout(leaves_by_name[name].detach()), buffers,
    )  # fmt: skip


def turn(parameter: Tensor) -> Tensor:
    """A linear layer's weight from ``(R, O, I)`` to ``(R, I, O)`` and back; others unchanged.

    A linear layer's three products then need no transpose, which for 784 inputs and 64 units is
    three times as fast as ``x @ weight.mT``. Autograd writes each gradient in the layout of its
    weight instead of copying it there, which took half the time of a wide network.
    """
    return parameter.mT if parameter.dim() == 3 else parameter


def leaves(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """A sequential module's layers by name and in order; empty if it does more than run them."""
    return [] if _shares(module) or _hooked(module) else _flat(module, "")


def _shares(module: nn.Module) -> bool:
    """Whether a parameter or buffer has two names; a stack holds it under one only."""
    parameters = module.named_parameters(remove_duplicate=False)
    buffers = module.named_buffers(remove_duplicate=False)
    ids = [id(tensor) for _, tensor in (*parameters, *buffers)]
    return len(ids) != len(set(ids))


def _hooked(module: nn.Module) -> bool:
    """Whether calling the module or a submodule does more than its class's forward pass."""
    return any(map(hooked, module.modules()))


def gradients_hooked(module: nn.Module) -> bool:
    """Whether a parameter has hooks, which see or change its gradient before the optimizer."""
    kinds = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return any(getattr(p, kind, None) for p in module.parameters() for kind in kinds)


def _flat(module: nn.Module, name: str) -> list[tuple[str, nn.Module]]:
    """Layers of nested Sequentials; exact types only, since a subclass may compute otherwise."""
    if type(module) is not nn.Sequential:
        return [(name, module)]
    # named_children() lists a layer that occurs twice only once.
    children = module._modules.items()  # noqa: SLF001 -- no public function lists both
    parts = [
        _flat(child, f"{name}.{key}".lstrip("."))
        for key, child in children
        if child is not None  # not `if child`: an empty container is falsy and may still compute
    ]
    return [leaf for part in parts for leaf in part]


def _layer(name: str, module: nn.Module) -> Layer | None:  # noqa: PLR0911 -- one return per kind of layer
    if type(module) is nn.Linear:
        return _linear(name)
    if type(module) is nn.Conv2d and module.groups == 1 and module.padding_mode == "zeros":
        return _convolution(name, module)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        exact = type(module) in (nn.BatchNorm1d, nn.BatchNorm2d) and module.momentum is not None
        return _batch_norm(name, module) if exact else None
    if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
        return lambda parameters, buffers, x: x.flatten(2)
    if _pools(module):
        return lambda parameters, buffers, x: module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    if type(module) in POINTWISE:
        activation = not_in_place(module)
        return lambda parameters, buffers, x: activation(x)
    return None


def pooled_first(
    modules: Sequence[nn.Module], images: Tensor
) -> tuple[Sequence[nn.Module], Tensor]:
    """The networks without their first pooling layer, and the images pooled by it.

    It has no parameters and treats each image separately, so pooling once serves all steps and
    replicas. If the first layer does not pool, networks and images are returned unchanged.
    """
    networks = cast("Sequence[nn.Sequential]", modules)
    layers = leaves(modules[0])
    if len(layers) < 2 or len(networks[0]) < 2 or not _pools(networks[0][0]):
        return modules, images  # also for a pooling layer within a nested Sequential
    return [network[1:] for network in networks], _pooled(networks[0][0], images)


def _pooled(layer: nn.Module, images: Tensor) -> Tensor:
    """The images pooled by the layer, once for all chunks of all arms on these images."""
    constants: Any = layer.__constants__  # the names of a pooling layer's options
    options = {name: getattr(layer, name) for name in constants}
    key = f"{type(layer).__name__} {options} {changes(images)}"
    kept = POOLED.setdefault(images, {})
    if key not in kept:
        kept[key] = layer(images)
    return kept[key]


def _pools(module: nn.Module) -> bool:
    """Whether the module pools each image separately and returns the pooled images only."""
    return type(module) in POOLING and not getattr(module, "return_indices", False)


def not_in_place(module: nn.Module) -> nn.Module:
    """A copy of the activation that leaves its input unchanged: the derivative may need it."""
    activation: Any = copy.copy(module)
    if hasattr(activation, "inplace"):
        activation.inplace = False
    copied: nn.Module = activation
    return copied


def _linear(name: str) -> Layer:
    def linear(parameters: Tensors, _: Tensors, x: Tensor) -> Tensor:
        weight, bias = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
        if x.dim() > 3:  # no Flatten: a linear layer maps the last dimension
            return linear(parameters, _, x.flatten(1, -2)).view(*x.shape[:-1], -1)
        if bias is None:
            return torch.bmm(x, weight)  # (R, B, I) (R, I, O) -> (R, B, O)
        return torch.baddbmm(bias.unsqueeze(1), x, weight)

    return linear


def _convolution(name: str, module: nn.Conv2d) -> Layer:
    def convolution(parameters: Tensors, _: Tensors, x: Tensor) -> Tensor:
        replicas = x.shape[0]
        side_by_side = x.transpose(0, 1).flatten(1, 2)  # (B, R * C, H, W)
        bias = parameters.get(f"{name}.bias")
        y = F.conv2d(
            side_by_side,
            parameters[f"{name}.weight"].flatten(0, 1),  # (R * O, C, kernel, kernel)
            None if bias is None else bias.flatten(),
            stride=module.stride,
            padding=module.padding,
            dilation=module.dilation,
            groups=replicas,
        )
        return _unstack(y, replicas)  # (R, B, O, H, W)

    return convolution


def _unstack(y: Tensor, replicas: int) -> Tensor:
    """From ``(B, R * C, ...)`` to ``(R, B, C, ...)``."""
    return y.view(len(y), replicas, -1, *y.shape[2:]).transpose(0, 1)


def _batch_norm(name: str, module: nn.BatchNorm1d | nn.BatchNorm2d) -> Layer:
    def batch_norm(parameters: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        replicas = x.shape[0]
        module._check_input_dim(x[0])  # noqa: SLF001 -- the kernel itself checks no shape

        def flat(tensors: Tensors, what: str) -> Tensor | None:
            tensor = tensors.get(f"{name}.{what}")
            return None if tensor is None else tensor.view(-1)  # (R * C,)

        counter = buffers.get(f"{name}.num_batches_tracked")
        if counter is not None:
            counter.add_(1)
        mean, var = flat(buffers, "running_mean"), flat(buffers, "running_var")
        if mean is not None and var is not None:  # not every backend writes through a view
            mean, var = mean.clone(), var.clone()
        y = F.batch_norm(
            x.transpose(0, 1).flatten(1, 2),  # (B, R * C, ...)
            mean,
            var,
            flat(parameters, "weight"),
            flat(parameters, "bias"),
            training=True,
            momentum=module.momentum or 0.0,
            eps=module.eps,
        )
        for what, new in (("running_mean", mean), ("running_var", var)):
            if new is not None:
                old = buffers[f"{name}.{what}"]
                old.copy_(new.view_as(old))
        return _unstack(y, replicas)

    return batch_norm
