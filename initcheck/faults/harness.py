"""Faults of this package: seeds, arms, data, devices, and the gate's own eyes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from initcheck import arms, initializers, networks
from initcheck.datasets import DataSet
from initcheck.faults.fault import (
    Context,
    Fault,
    Function,
    after_each_step,
    replaced,
    wrapped,
)
from initcheck.gate import holds, trainer, verdict
from initcheck.initializers import pretrained, rules
from initcheck.initializers.independent import zeros_
from initcheck.stats import decisions
from initcheck.training import train as training

ZERO, LAYER = "all_zero_network_stays_symmetric", "zeroed_hidden_layer_still_learns"
CAP, BREAK, HE = "identity_caps_residual_rank", "hadamard_breaks_rank_cap", "he_beats_randn"
ALL = (ZERO, LAYER, CAP, BREAK, HE)


def _data(change: Callable[[DataSet], DataSet]) -> Context:
    """Every data set that the laboratory loads is another one."""

    def around(function: Function) -> Function:
        return lambda self, name: change(function(self, name))

    return wrapped(trainer.Laboratory, "data", around)


def _shuffled(data: DataSet) -> DataSet:
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(data.train_targets), generator=generator)
    return replace(data, train_targets=data.train_targets[order])


def _unscaled(data: DataSet) -> DataSet:
    return replace(data, train_inputs=data.train_inputs * 255, test_inputs=data.test_inputs * 255)


def _test_unscaled(data: DataSet) -> DataSet:
    return replace(data, test_inputs=data.test_inputs * 255)


def _test_is_training(data: DataSet) -> DataSet:
    return replace(data, test_inputs=data.train_inputs, test_targets=data.train_targets)


def _one_seed(function: Function) -> Function:
    return lambda seed, purpose, *more: function(0, purpose, *more)


def _stored_order(_seed: int, images: int, recipe: arms.Recipe) -> Tensor:
    """Images come in the order in which they are stored, in every epoch."""
    used = images // recipe.batch * recipe.batch
    return (torch.arange(recipe.steps * recipe.batch) % used).view(-1, recipe.batch)


def _swapped(function: Function) -> Function:
    return lambda probe, treated, control, *rest: function(probe, control, treated, *rest)


def _first_layer_only(function: Function) -> Function:
    """A rule that says zeros is followed in the first layer alone."""

    def rule(self: Any, module: nn.Module, name: str) -> Any:
        found = function(self, module, name)
        first = next(module.named_parameters())[0].rpartition(".")[0]
        return None if found is zeros_ and name.rpartition(".")[0] != first else found

    return rule


def _all_match(_function: Function) -> Function:
    return lambda name, pattern: True


class _Blind(SimpleNamespace):
    """numpy, to which everything is finite."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def isfinite(x: Any) -> Any:
        return np.ones_like(np.asarray(x, dtype=float), dtype=bool)


def _poison(parameter: Tensor) -> None:
    parameter[0] = torch.nan


@contextmanager
def _nan_unseen() -> Iterator[None]:
    """A replica (in plain loops: a unit) turns to NaN, and the gate takes NaN for finite."""
    with ExitStack() as stack:
        stack.enter_context(after_each_step(_poison))
        stack.enter_context(replaced(decisions, "np", _Blind()))
        stack.enter_context(replaced(holds, "_not_finite", lambda values: ""))
        yield


@contextmanager
def _devices_ignored() -> Iterator[None]:
    """Tensors and modules stay where they are when they are sent to a device."""

    def stay(function: Function) -> Function:
        def to(self: Any, *args: Any, **kwargs: Any) -> Any:
            kept = [a for a in args if not isinstance(a, str | torch.device)]
            kwargs.pop("device", None)
            return function(self, *kept, **kwargs) if kept or kwargs else self

        return to

    with wrapped(nn.Module, "to", stay), ExitStack() as stack:
        inherited = torch.Tensor.to
        torch.Tensor.to = stay(inherited)  # type: ignore[method-assign]
        stack.callback(delattr, torch.Tensor, "to")
        yield


def _rules_ignored(function: Function) -> Function:
    return lambda self, module, name: function(replace(self, named=()), module, name)


@contextmanager
def _uphill() -> Iterator[None]:
    """The two phases of contrastive divergence are taken for each other; no machine is kept."""

    def around(function: Function) -> Function:
        return lambda machine, batch, *, lr, generator: function(
            machine, batch, lr=-lr, generator=generator
        )

    pretrained._stack.cache_clear()  # noqa: SLF001 -- machines trained without the fault
    try:
        with wrapped(pretrained, "cd1", around):
            yield
    finally:
        pretrained._stack.cache_clear()  # noqa: SLF001 -- and those with it


def _half_of_dropout(function: Function) -> Function:
    """Every layer with a probability ``p``, torch's name for the share dropped, is built with half.

    At the layers and not in ``torch.nn.functional``, so that masks of one's own are halved too.
    """

    def fresh(self: networks.Network, seed: int) -> nn.Module:
        module: nn.Module = function(self, seed)
        for layer in module.modules():
            if isinstance(vars(layer).get("p"), float):
                layer.p = layer.p / 2  # type: ignore[assignment,operator]
        return module

    return fresh


FAULTS = (
    Fault(
        "only_first_layer_zeroed", "Zeros are written into the first layer, and no other.",
        "initcheck", (ZERO,),
        lambda: wrapped(initializers.Initializer, "_rule", _first_layer_only),
    ),
    Fault(
        "all_layers_zeroed", "A rule for one parameter is followed for all of them.",
        "initcheck", (LAYER,), lambda: wrapped(rules, "fnmatchcase", _all_match),
    ),
    Fault(
        "seed_ignored", "Every replica is drawn from one seed: all are alike.",
        "initcheck", ALL, lambda: wrapped(arms, "derived", _one_seed),
    ),
    Fault(
        "arms_swapped", "Treated and control are taken for each other.",
        "initcheck", ALL, lambda: wrapped(verdict, "Pair", _swapped),
    ),
    Fault(
        "order_not_shuffled", "Images come in the order they are stored in, as in notebook 000.",
        "initcheck", (HE, LAYER), lambda: replaced(training, "order", _stored_order),
    ),
    Fault(
        "labels_shuffled", "Training labels belong to other images.",
        "initcheck", (HE, LAYER), lambda: _data(_shuffled),
    ),
    Fault(
        "data_not_scaled", "Images are in [0, 255] where [0, 1] was meant.",
        "initcheck", (HE, LAYER), lambda: _data(_unscaled),
    ),
    Fault(
        "test_inputs_not_scaled", "Test images alone are in [0, 255], as in notebook 004.",
        "initcheck", ("undivided_test_images_hide_from_accuracy",), lambda: _data(_test_unscaled),
    ),
    Fault(
        "evaluated_on_training_set", "Accuracy is measured on the images that were trained on.",
        "initcheck", ("random_biases_beat_softmax_regression",), lambda: _data(_test_is_training),
    ),
    Fault(
        "nan_swallowed", "A replica turns to NaN and the gate takes NaN for finite.",
        "initcheck", (HE, LAYER), _nan_unseen,
    ),
    Fault(
        "device_computes_on_cpu", "What is sent to a device stays on the CPU and trains there.",
        "torch", ALL, _devices_ignored, needs_accelerator=True,
    ),
    Fault("cd_sign", "Contrastive divergence goes uphill.", "initcheck", (),
          _uphill),
    Fault("dropout_rate_halved", "Dropout layers drop half as often as they were asked to.",
          "initcheck", (), lambda: wrapped(networks.Network, "fresh", _half_of_dropout)),
    Fault("named_rules_ignored", "Rules for single parameters are not followed.", "initcheck", (),
          lambda: wrapped(initializers.Initializer, "_rule", _rules_ignored)),
)  # fmt: skip
