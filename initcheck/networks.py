"""The notebooks' networks and the literature's, built on the CPU from named layers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from weakref import WeakValueDictionary

import torch
from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "linear": nn.Identity,
}


# By id, the modules that were handed out and are still there: one that was built anew is none of
# them, though it may have got the id of one that is gone.
_HANDED_OUT: WeakValueDictionary[int, nn.Module] = WeakValueDictionary()


class NetworkError(ValueError):
    """A network that cannot be trained here: a sentence says what it returned and what it must."""


@dataclass(frozen=True)
class Network:
    """A name and the function that builds the module: any user's own module class will do.

    ``build`` takes no argument and returns an ``nn.Module`` that maps inputs ``(B, ...)`` to
    logits ``(B, classes)``, a new one at every call.
    """

    name: str
    build: Callable[[], nn.Module]

    def fresh(self, seed: int) -> nn.Module:
        """The module as its constructor makes it for this seed; global random state is restored.

        Raises:
            NetworkError: it, or a layer that trains, is one that was handed out before.
        """
        before = set(_HANDED_OUT)  # what the constructor itself has from ``fresh`` is new
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
            module = self.build()
        if isinstance(module, nn.Module):
            learns = _learning(module)
            if any(key in before and _HANDED_OUT.get(key) is m for key, m in learns.items()):
                raise NetworkError(
                    f"the network '{self.name}' was built twice and is the same module, or has the "
                    "same layers, so that replicas would share one start. Its `build` must return "
                    "a new module at every call: construct the layers within that function."
                )
            _HANDED_OUT.update(learns)
        return module


def _learning(module: nn.Module) -> dict[int, nn.Module]:
    """By id, the module and those in it that have parameters to train themselves."""
    parts = (m for m in module.modules() if _learns(m))
    return {id(m): m for m in (module, *parts)}


def _learns(module: nn.Module) -> bool:
    own = module._parameters.values()  # noqa: SLF001 -- parameters() is slow, and builds are many
    return any(p is not None and p.requires_grad for p in own)


def mlp(*widths: int, activation: str | tuple[str, ...] = "relu", bias: bool = True) -> Network:
    """A multilayer perceptron: layers ``hidden1``, ``hidden2``, … and ``output``.

    Args:
        widths: inputs, hidden widths, classes; ``mlp(784, 10)`` is softmax regression.
        activation: one name for every hidden layer, or one for each (see ``ACTIVATIONS``).
        bias: whether the linear layers have one.

    Raises:
        ValueError: fewer than two widths, an unknown activation, or a wrong number of them.
    """
    if len(widths) < 2:
        raise ValueError(f"mlp needs at least inputs and classes, was given widths {widths}")
    names = _per_layer(activation, len(widths) - 2)
    shown = "-".join(map(str, widths))
    label = activation if isinstance(activation, str) else "+".join(activation)
    suffix = "" if bias else ", no bias"
    return _network(f"mlp {shown} {label}{suffix}", widths, names, bias)


@cache  # equal calls give the same network, so that equal arms are trained once
def _network(
    name: str, widths: tuple[int, ...], activations: tuple[str, ...], bias: bool
) -> Network:
    return Network(name, partial(_mlp, widths, activations, bias))


def _per_layer(activation: str | tuple[str, ...], hidden: int) -> tuple[str, ...]:
    names = (activation,) * hidden if isinstance(activation, str) else activation
    unknown = [name for name in names if name not in ACTIVATIONS]
    if unknown:
        raise ValueError(f"activation {unknown[0]!r} is not one of {', '.join(ACTIVATIONS)}")
    if len(names) != hidden:
        raise ValueError(f"{len(names)} activations were given for {hidden} hidden layers")
    return names


def _mlp(widths: tuple[int, ...], activations: tuple[str, ...], bias: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number, activation in enumerate(activations, start=1):
        layers[f"hidden{number}"] = nn.Linear(widths[number - 1], widths[number], bias=bias)
        layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
    layers["output"] = nn.Linear(widths[-2], widths[-1], bias=bias)
    return nn.Sequential(layers)


SIDE = 28  # pixels of an image


@cache  # equal calls give the same network, so that equal arms are trained once
def pooled(
    *widths: int, by: int, activation: str | tuple[str, ...] = "relu", bias: bool = True
) -> Network:
    """A multilayer perceptron on images of which each ``by`` x ``by`` pixels are averaged into one.

    So a claim about the layers behind the pixels is decided at a fraction of the time. ``widths``
    begin with the first hidden layer's; the rest is as ``mlp`` has it.
    """
    side = SIDE // by
    network = mlp(side**2, *widths, activation=activation, bias=bias)

    def build() -> nn.Module:
        layers = OrderedDict(network.build().named_children())
        return nn.Sequential(OrderedDict(pool=nn.AvgPool2d(by), **layers))

    return Network(f"{side} x {side} pooled, {network.name}", build)
