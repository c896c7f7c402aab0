"""A network's layers in words, read from a freshly built module.

Only torch's layers in an ``nn.Sequential`` can be read in this way, since the ``forward`` of any
other module may compute anything. Other networks are called by their names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from initcheck.networks import Network

# Files of torch.nn.modules whose layers have no weight matrix.
BETWEEN = ("batchnorm", "dropout", "instancenorm", "normalization", "pooling", "upsampling")
KINDS = ("activation", "flatten", *BETWEEN)
RESIZING = ("pooling", "upsampling")
Weighted = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
WEIGHTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
SOME_BIASES = "biases in some layers"
LONG = 5  # hidden layers of one width; if there are more, they are counted instead of listed


@dataclass(frozen=True)
class Layers:
    """A network's facts in words.

    Attributes:
        shape: widths such as ``784-64-10``, convolutions with their kernels, or the network's name.
        activation: of the hidden layers, such as ``ReLU`` or ``ReLU/CELU``; empty if there are none
            or they are unknown.
        details: pooling, normalization and dropout between the layers.
        biases: ``with biases``, ``no biases`` or ``biases in some layers``.
        resizing: pooling or upsampling of the images before the first layer with weights.
    """

    shape: str
    activation: str = ""
    details: str = ""
    biases: str = ""
    resizing: tuple[nn.Module, ...] = ()

    def images(self, side: int | None) -> str:
        """How images are resized before the first weights: ``pooled to 14 x 14``, or nothing.

        ``side`` is the side of an image, or None if it is unknown.
        """
        pools = all(_kind(layer) == "pooling" for layer in self.resizing)
        how = ("pooled" if pools else "resized") if self.resizing else ""
        if side is None:
            return how
        for layer in self.resizing:
            side = layer(torch.zeros(1, 1, side, side)).shape[-1]
        return f"{how} to {side} x {side}" if how else ""


@cache
def layers(network: Network) -> Layers:
    """The facts of a network; it is built once for them."""
    module = network.fresh(0)
    parts = _parts(module)
    places = [place for place, part in enumerate(parts) if type(part) in WEIGHTED]
    if not places or not all(map(_known, parts)):
        weighted = [part for part in module.modules() if isinstance(part, Weighted)]
        biases = _biases(weighted)
        if biases == SOME_BIASES or (biases == "no biases" and _own_biases(module)):
            biases = ""  # which layers have one is in the name, or not worth a word
        return Layers(_hyphenated(network.name), biases=biases)
    weighted = [part for part in parts if isinstance(part, Weighted)]
    resizing = tuple(part for part in parts[: places[0]] if _kind(part) in RESIZING)
    blocks = [parts[start:end] for start, end in zip(places, [*places[1:], None], strict=True)]
    hidden = [_activation(block) or "linear" for block in blocks[:-1]]
    last = _activation(blocks[-1])
    details = [
        *_details([part for part in parts if part not in resizing]),
        *([f"{last} at the output"] if last else []),
    ]
    shape = _shape(weighted)
    regression = len(weighted) == 1 and type(weighted[0]) is nn.Linear and not details
    return Layers(
        f"softmax regression {shape}" if regression else shape,
        "/".join(hidden[:1] if len(set(hidden)) == 1 else hidden),
        ", ".join(details),
        _biases(weighted),
        resizing,
    )


def _parts(module: nn.Module) -> list[nn.Module]:
    """The layers of nested Sequentials in the order in which they compute."""
    if type(module) is not nn.Sequential:
        return [module]
    return [part for child in module for part in _parts(child)]


def _kind(part: nn.Module) -> str:
    package, _, file = type(part).__module__.rpartition(".")
    return file if package == "torch.nn.modules" else ""


def _known(part: nn.Module) -> bool:
    of_torch = type(part) in (*WEIGHTED, nn.Identity) or _kind(part) in KINDS
    return of_torch and next(part.children(), None) is None


def _activation(parts: Sequence[nn.Module]) -> str:
    return " ".join(_activation_name(part) for part in parts if _kind(part) == "activation")


def _activation_name(part: nn.Module) -> str:
    """``ReLU``, ``tanh``, ``LeakyReLU(0.2)``: torch's name, and options that are not defaults."""
    name = type(part).__name__
    options = part.extra_repr().removesuffix("inplace=True").removesuffix(", ")
    shown = name.lower() if name in ("Tanh", "Sigmoid") else name
    return f"{shown}({options})" if options and options != _default_options(type(part)) else shown


def _default_options(kind: type[nn.Module]) -> str:
    try:
        return kind().extra_repr()
    except TypeError:  # some activations have no defaults
        return ""


def _shape(weighted: Sequence[Weighted]) -> str:
    """The widths of all layers: ``784-64-10``, or ``(3 x 3 conv 1-16-32, linear 18432-10)``.

    A layer is in the chain of widths before it if it continues it with weights of the same kind.
    """
    chains = [[layer] for layer in weighted[:1]]
    for layer in weighted[1:]:
        before = chains[-1][-1]
        if _weights(layer) == _weights(before) and _ends(layer)[0] == _ends(before)[1]:
            chains[-1].append(layer)
        else:
            chains.append([layer])
    if len(chains) == 1 and isinstance(weighted[0], nn.Linear):
        return _widths(chains[0])
    return f"({', '.join(f'{_weights(chain[0])} {_widths(chain)}' for chain in chains)})"


def _weights(layer: Weighted) -> str:
    if isinstance(layer, nn.Linear):
        return "linear"
    sizes = {*layer.stride}
    stride = f"stride-{'/'.join(map(str, sizes if len(sizes) == 1 else layer.stride))} "
    return f"{'' if sizes == {1} else stride}{' x '.join(map(str, layer.kernel_size))} conv"


def _ends(layer: Weighted) -> tuple[int, int]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels


def _widths(chain: Sequence[Weighted]) -> str:
    widths = [_ends(chain[0])[0], *(_ends(layer)[1] for layer in chain)]
    hidden = widths[1:-1]
    if len(hidden) > LONG and len(set(hidden)) == 1:
        return f"{widths[0]}-{hidden[0]}-...-{hidden[0]}-{widths[-1]} ({len(hidden)} hidden layers)"
    return "-".join(map(str, widths))


def _hyphenated(name: str) -> str:
    """A network's name with the widths of ``mlp (784, 64, 10)`` as ``784-64-10``."""
    widths = r"\bmlp \((\d+(?:, \d+)+)\)"
    return re.sub(widths, lambda match: match[1].replace(", ", "-"), name)


def _details(parts: Sequence[nn.Module]) -> list[str]:
    """``max pool``, ``batch norm``, ``dropout 0.2/0.1``, each once."""
    rates_of: dict[str, list[str]] = {}
    for part in parts:
        if _kind(part) in BETWEEN:
            rate = f"{part.p:g}" if _kind(part) == "dropout" else ""
            rates_of.setdefault(_words(type(part).__name__), []).append(rate)
    return [
        f"{name} {'/'.join(rates if len(set(rates)) > 1 else rates[:1])}".strip()
        for name, rates in rates_of.items()
    ]


def _words(name: str) -> str:
    """``BatchNorm2d`` as ``batch norm``, ``RMSNorm`` as ``RMS norm``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", re.sub(r"\dd$", "", name))
    return " ".join(word if word.isupper() else word.lower() for word in words)


def _biases(weighted: Sequence[Weighted]) -> str:
    have_bias = [layer.bias is not None for layer in weighted]
    if any(have_bias):
        return "with biases" if all(have_bias) else SOME_BIASES
    return "no biases" if have_bias else ""


def _own_biases(module: nn.Module) -> bool:
    """Whether a module that is not torch's has a parameter with ``bias`` in its name."""
    own = (part for part in module.modules() if not _kind(part))
    return any("bias" in name for part in own for name, _ in part.named_parameters(recurse=False))
