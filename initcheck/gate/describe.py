"""An arm in words, fact by fact: network, training, data and initializer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

from initcheck import initializers
from initcheck.arms import Arm, Optimizer, Recipe
from initcheck.gate.layers import layers
from initcheck.initializers import Initializer
from initcheck.initializers.factory import TensorInitializer, name_of

Facts = Mapping[str, str]  # texts, keyed by what they are about, such as "steps"

PIXELS = {"mnist5k": 28, "mnist": 28, "cifar10": 32}  # the side of an image

STARTS = {  # plain names of initializers, and their biases unless the name includes them
    initializers.torch_default: ("torch's default", ""),
    initializers.zeros: ("all zeros", ""),
    initializers.ones: ("all ones", ""),
    initializers.he: ("He normal", "zero biases"),
    initializers.lecun: ("LeCun normal", "zero biases"),
    initializers.glorot: ("Glorot normal", "zero biases"),
    initializers.randn: ("N(0, 1)", "zero biases"),
    initializers.identity: ("partial identity", "zero biases"),
    initializers.hadamard: ("Hadamard", "zero biases"),
}


def describe(arm: Arm) -> Facts:
    """The facts of an arm; a text is empty if the arm has no such fact or it is unknown."""
    network = layers(arm.network)
    images = network.images(PIXELS.get(arm.data))
    start, biases = _start(arm.initializer, arm.data, images)
    return {
        "activation": f"{network.activation} network" if network.activation else "",
        "layers": network.shape,
        "details": network.details,
        "biases": network.biases,
        **_training(arm.recipe),
        "dtype": arm.recipe.dtype,
        "data": _data(arm.data, images),
        "start": start,
        "start's biases": "" if network.biases == "no biases" else biases,
    }


def _training(recipe: Recipe) -> dict[str, str]:
    if not recipe.steps:
        return {"optimizer": "no training", "steps": "", "batch": "", "checkpoints": ""}
    kept = "step " + ", ".join(map(str, recipe.keep_at))
    kept = "each step" if recipe.keep_at == (*range(1, recipe.steps + 1),) else kept
    return {
        "optimizer": _optimizer(recipe.optimizer, recipe.rates),
        "steps": f"{recipe.steps} step{'s' * (recipe.steps > 1)}",
        "batch": f"batch {recipe.batch}",
        "checkpoints": f"checkpoint after {kept}" if recipe.keep_at else "",
    }


def _optimizer(optimizer: Optimizer, rates: tuple[tuple[str, float], ...]) -> str:
    options = dict(optimizer.options)
    shown = [f"lr {number(options.pop('lr'))}"] if "lr" in options else []
    shown += [f"x {number(factor)} for {pattern}" for pattern, factor in rates
              if (pattern, factor) != ("*", 1)]  # fmt: skip
    nesterov = "Nesterov " if options.get("momentum") and options.pop("nesterov", False) else ""
    for key, value in options.items():
        plain = key.replace("_", " ")
        if isinstance(value, bool):
            shown.append(plain if value else f"no {plain}")
        else:
            shown.append(f"{nesterov if key == 'momentum' else ''}{plain} {number(value)}")
    return f"{optimizer.name} ({', '.join(shown)})" if shown else optimizer.name


def _start(start: Initializer, data: str, images: str) -> tuple[str, str]:
    """The initializer in plain words, and its biases unless the words include them.

    ``data`` is the arm's data set and ``images`` how it is resized: the words do not repeat them.
    """
    rules = "".join(f" but {pattern} {name_of(draw)}" for pattern, draw in start.named)
    base = replace(start, name=start.name.removesuffix(rules), named=())
    name, biases = STARTS.get(base, (base.name, ""))
    if name.endswith(", biases zeros_"):
        name, biases = name.removesuffix(", biases zeros_"), "zero biases"
    head, *more = re.split(r", (?![^(]*\))", name)  # commas within parentheses do not split
    more = [_without_pooling(part, data, images) for part in more if part != data]
    if len(more) == 1 and "biases" in more[0].split():
        biases = more.pop()
        head = "Hadamard" if head == "hadamard" else head
    name = f"{head} ({', '.join(more)})" if len(more) > 1 else " with ".join([head, *more])
    if start.name.endswith(rules):
        name += "".join(f" but {pattern} {_fill(draw)}" for pattern, draw in start.named)
        if biases == "zero biases" and any("bias" in pattern for pattern, _ in start.named):
            biases = ""  # the name says it
    name = re.sub(r"\bscaled_\((\w+), ([\d.]+)\)", r"\1 x \2", name)
    return re.sub(r"\d+\.\d{5,}", lambda match: f"{float(match[0]):.4g}", name), biases


def _without_pooling(part: str, data: str, images: str) -> str:
    """``1000 images pooled by 2`` without its end, if the network pools the images as much."""
    text, _, factor = part.partition(" pooled by ")
    side = PIXELS.get(data, 0) // int(factor) if factor.isdecimal() else 0
    return text if side and images == f"pooled to {side} x {side}" else part


def _fill(draw: TensorInitializer) -> str:
    return "zero" if draw is initializers.zeros_ else f"from {name_of(draw)}"


def _data(name: str, images: str) -> str:
    """The data set, a folder by its last name, and how its images are resized."""
    kind, _, path = name.partition(":")
    return " ".join(filter(None, (f"{kind}:{PurePath(path).name}" if path else name, images)))


def number(value: float | tuple[float, ...]) -> str:
    """``0.5``, ``1e-5``, ``(0.9, 0.99)``."""
    if isinstance(value, tuple):
        return f"({', '.join(map(number, value))})"
    return re.sub(r"e([+-])0*", lambda m: "e" + m[1].replace("+", ""), f"{value:.10g}")
