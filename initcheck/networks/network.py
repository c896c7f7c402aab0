"""Networks: a name and a function that builds the module on the CPU."""

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


# The modules that `Network.fresh` has returned and that still exist, by id. A new module may have
# the id of one that no longer exists, so `fresh` compares the modules, not only the ids.
_RETURNED: WeakValueDictionary[int, nn.Module] = WeakValueDictionary()


class NetworkError(ValueError):
    """A network cannot be trained; the message says what it returned and what it must return."""


@dataclass(frozen=True)
class Network:
    """A name, and a function that builds the module. Any ``nn.Module`` can be used.

    Attributes:
        name: how the network is written in reports and evidence.
        build: takes no argument and returns a new ``nn.Module`` at every call, which maps inputs
            ``(B, ...)`` to logits ``(B, classes)``.
    """

    name: str
    build: Callable[[], nn.Module]

    def fresh(self, seed: int) -> nn.Module:
        """Return the module that its constructor makes with this seed.

        torch's global random state is restored.

        Raises:
            NetworkError: ``build`` returned something else than a module, a module with
                uninitialized parameters, or a module or a layer that trains, that it had returned
                before.
        """
        before = set(_RETURNED)  # without modules that ``build`` itself gets from ``fresh``
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
            module = self.build()
        self._check(module)
        trainable = _trainable_modules(module)
        if any(key in before and _RETURNED.get(key) is m for key, m in trainable.items()):
            raise NetworkError(
                f"Network '{self.name}': build() returned a module or a layer that it had "
                "returned before, so all seeds would share one set of weights. Create the "
                "module and its layers inside build()."
            )
        _RETURNED.update(trainable)
        return module

    def _check(self, module: object) -> None:
        """Check that ``build`` returned a module whose parameters have values."""
        if not isinstance(module, nn.Module):
            raise NetworkError(
                f"Network '{self.name}': build() returned a value of type "
                f"{type(module).__name__}. It must return a new nn.Module at every call."
            )
        tensors = [*module.named_parameters(), *module.named_buffers()]
        lazy = [name for name, tensor in tensors if nn.parameter.is_lazy(tensor)]
        if lazy:
            raise NetworkError(
                f"Network '{self.name}': {lazy[0]!r} has no shape yet, because its layer is lazy. "
                "Give every layer its number of inputs, or call the module on a batch inside "
                "build()."
            )


def _trainable_modules(module: nn.Module) -> dict[int, nn.Module]:
    """The module, and all modules in it that have trainable parameters of their own, by id."""
    parts = (m for m in module.modules() if _is_trainable(m))
    return {id(m): m for m in (module, *parts)}


def _is_trainable(module: nn.Module) -> bool:
    own = module._parameters.values()  # noqa: SLF001 -- parameters() is slow, and builds are many
    return any(p is not None and p.requires_grad for p in own)


def mlp(*widths: int, activation: str | tuple[str, ...] = "relu", bias: bool = True) -> Network:
    """Return a multilayer perceptron with layers ``hidden1``, ``hidden2``, … and ``output``.

    Args:
        widths: inputs, hidden widths, classes; ``mlp(784, 10)`` is softmax regression.
        activation: a name for all hidden layers, or one name per layer (see ``ACTIVATIONS``).
        bias: whether the linear layers have a bias.

    Raises:
        ValueError: there are fewer than two widths, an activation is unknown, or the number of
            activations is not that of the hidden layers.
    """
    if len(widths) < 2:
        raise ValueError(
            f"mlp needs at least two widths, for inputs and classes, but was given {widths}."
        )
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
        raise ValueError(f"The activation {unknown[0]!r} is not one of {', '.join(ACTIVATIONS)}.")
    if len(names) != hidden:
        raise ValueError(
            f"mlp was given {len(names)} activations for {hidden} hidden layers. Give one name for "
            "all layers, or one per layer."
        )
    return names


def _mlp(widths: tuple[int, ...], activations: tuple[str, ...], bias: bool) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for number, activation in enumerate(activations, start=1):
        layers[f"hidden{number}"] = nn.Linear(widths[number - 1], widths[number], bias=bias)
        layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
    layers["output"] = nn.Linear(widths[-2], widths[-1], bias=bias)
    return nn.Sequential(layers)


SIDE = 28  # height and width of an MNIST image, in pixels


@cache  # equal calls give the same network, so that equal arms are trained once
def pooled(
    *widths: int, by: int, activation: str | tuple[str, ...] = "relu", bias: bool = True
) -> Network:
    """Return a multilayer perceptron on MNIST images with ``by`` x ``by`` pixels averaged into one.

    It trains in a fraction of the time, for claims that do not depend on the pixels. ``widths``
    starts with the first hidden layer; the other arguments are those of ``mlp``.
    """
    side = SIDE // by
    network = mlp(side**2, *widths, activation=activation, bias=bias)

    def build() -> nn.Module:
        layers = OrderedDict(network.build().named_children())
        return nn.Sequential(OrderedDict(pool=nn.AvgPool2d(by), **layers))

    return Network(f"{side} x {side} pooled, {network.name}", build)
