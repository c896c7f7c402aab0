"""Faults of this package: data, seeds, arms, initialization rules, devices, and NaN checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from initcheck import arms, networks
from initcheck.datasets import DataSet
from initcheck.faults.fault import Context, Fault, Function, after_each_step, wrapped, wrapped_in
from initcheck.gate import holds, trainer
from initcheck.gate.comparison import Pair
from initcheck.initializers import Initializer, pretrained
from initcheck.initializers.independent import zeros_
from initcheck.stats import decisions

ZERO, LAYER = "all_zero_network_stays_symmetric", "zeroed_hidden_layer_still_learns"
CAP, BREAK, HE = "identity_caps_residual_rank", "hadamard_breaks_rank_cap", "he_beats_randn"
ALL = (ZERO, LAYER, CAP, BREAK, HE)


# --- data -----------------------------------------------------------------------------------------


def _data(change: Callable[[DataSet], DataSet]) -> Context:
    """Every data set that the laboratory loads is passed through ``change``."""

    def around(function: Function) -> Function:
        return lambda self, name: change(function(self, name))

    return wrapped(trainer.Laboratory.data, around)


def _labels_shuffled(data: DataSet) -> DataSet:
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(data.train_targets), generator=generator)
    return replace(data, train_targets=data.train_targets[order])


def _unscaled(data: DataSet) -> DataSet:
    return replace(_test_unscaled(data), train_inputs=_as_bytes(data.train_inputs))


def _test_unscaled(data: DataSet) -> DataSet:
    return replace(data, test_inputs=_as_bytes(data.test_inputs))


def _as_bytes(inputs: Tensor) -> Tensor:
    """Images in [0, 255]; tokens have no scale."""
    return inputs * 255 if inputs.is_floating_point() else inputs


def _test_is_training(data: DataSet) -> DataSet:
    return replace(data, test_inputs=data.train_inputs, test_targets=data.train_targets)


def _stored_order(_function: Function) -> Function:
    """Every epoch takes the images in the order in which they are stored."""

    def order(_seed: int, images: int, recipe: arms.Recipe) -> Tensor:
        used = images // recipe.batch * recipe.batch
        return (torch.arange(recipe.steps * recipe.batch) % used).view(-1, recipe.batch)

    return order


# --- seeds and arms -------------------------------------------------------------------------------


def _one_seed(function: Function) -> Function:
    return lambda seed, purpose, *more: function(0, purpose, *more)


def _swapped(function: Function) -> Function:
    return lambda self, probe, treated, control, *rest: function(
        self, probe, control, treated, *rest
    )


# --- initialization -------------------------------------------------------------------------------


def _first_layer_only(function: Function) -> Function:
    """A rule that fills with zeros applies to the first layer only."""

    def rule_for(self: Initializer, module: nn.Module, name: str) -> Any:
        rule = function(self, module, name)
        first = next(module.named_parameters())[0].rpartition(".")[0]
        return None if rule is zeros_ and name.rpartition(".")[0] != first else rule

    return rule_for


def _patterns_match_all(function: Function) -> Function:
    """A pattern that names one parameter matches every parameter."""

    def rule_for(self: Initializer, module: nn.Module, name: str) -> Any:
        everywhere = tuple(("*", rule) for _, rule in self.named)
        return function(replace(self, named=everywhere), module, name)

    return rule_for


def _patterns_ignored(function: Function) -> Function:
    return lambda self, module, name: function(replace(self, named=()), module, name)


@contextmanager
def _cd_uphill() -> Iterator[None]:
    """The two phases of contrastive divergence are swapped."""

    def around(function: Function) -> Function:
        return lambda machine, batch, *, lr, generator: function(
            machine, batch, lr=-lr, generator=generator
        )

    pretrained.forget()  # machines that were trained without the fault
    try:
        with wrapped(pretrained.cd1, around):
            yield
    finally:
        pretrained.forget()  # and those that were trained with it


def _half_of_dropout(function: Function) -> Function:
    """Halve ``p``, torch's name for the share dropped, in every layer of a new network.

    In the layers, not in ``torch.nn.functional``, so that custom dropout layers are halved too.
    """

    def fresh(self: networks.Network, seed: int) -> nn.Module:
        module: nn.Module = function(self, seed)
        for layer in module.modules():
            if isinstance(vars(layer).get("p"), float):
                layer.p = layer.p / 2  # type: ignore[assignment,operator]
        return module

    return fresh


# --- checks of values and devices -----------------------------------------------------------------


def _poison(parameter: Tensor) -> None:
    parameter[0] = torch.nan


@contextmanager
def _nan_unseen() -> Iterator[None]:
    """A replica (in plain loops: a unit) turns to NaN, and the gate takes NaN for finite."""
    with ExitStack() as stack:
        stack.enter_context(after_each_step(_poison))
        stack.enter_context(wrapped(decisions.finite, lambda _: lambda *_arms: True))
        stack.enter_context(wrapped(holds.not_finite, lambda _: lambda _values: ""))
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

    with wrapped_in(nn.Module, "to", stay), ExitStack() as stack:
        inherited = torch.Tensor.to
        torch.Tensor.to = stay(inherited)  # type: ignore[method-assign]
        stack.callback(delattr, torch.Tensor, "to")
        yield


FAULTS = (
    # data
    Fault(
        "labels_shuffled", "Training labels belong to other images.",
        "initcheck", (HE, LAYER), lambda: _data(_labels_shuffled),
    ),
    Fault(
        "data_not_scaled", "Images are in [0, 255] instead of [0, 1].",
        "initcheck", (HE, LAYER), lambda: _data(_unscaled),
    ),
    Fault(
        "test_inputs_not_scaled",
        "Test images are in [0, 255] and training images in [0, 1], as in notebook 004.",
        "initcheck", ("undivided_test_images_hide_from_accuracy",), lambda: _data(_test_unscaled),
    ),
    Fault(
        "evaluated_on_training_set", "Accuracy is measured on the training images.",
        "initcheck", ("random_biases_beat_softmax_regression",), lambda: _data(_test_is_training),
    ),
    Fault(
        "order_not_shuffled",
        "Every epoch takes the images in the order in which they are stored, as in notebook 000.",
        "initcheck", (HE, LAYER), lambda: wrapped(arms.order, _stored_order),
    ),
    # seeds and arms
    Fault(
        "seed_ignored", "Every replica uses the same seed, so all replicas are identical.",
        "initcheck", ALL, lambda: wrapped(arms.derived, _one_seed),
    ),
    Fault(
        "arms_swapped", "The treated arm and the control are swapped.",
        "initcheck", ALL, lambda: wrapped(Pair.__init__, _swapped),
    ),
    # initialization
    Fault(
        "only_first_layer_zeroed", "Zeros are written into the first layer only.",
        "initcheck", (ZERO,), lambda: wrapped(Initializer.rule_for, _first_layer_only),
    ),
    Fault(
        "all_layers_zeroed", "A rule for one parameter applies to every parameter.",
        "initcheck", (LAYER,), lambda: wrapped(Initializer.rule_for, _patterns_match_all),
    ),
    Fault(
        "named_rules_ignored", "Rules for single parameters are ignored.",
        "initcheck", (), lambda: wrapped(Initializer.rule_for, _patterns_ignored),
    ),
    Fault(
        "cd_sign", "Contrastive divergence takes its steps in the opposite direction.",
        "initcheck", (), _cd_uphill,
    ),
    Fault(
        "dropout_rate_halved", "Dropout layers drop half as often as requested.",
        "initcheck", (), lambda: wrapped(networks.Network.fresh, _half_of_dropout),
    ),
    # checks of values and devices
    Fault(
        "nan_swallowed", "A replica turns to NaN, and the gate takes NaN for finite.",
        "initcheck", (HE, LAYER), _nan_unseen,
    ),
    Fault(
        "device_computes_on_cpu",
        "Tensors and modules that are sent to a device stay on the CPU and train there.",
        "torch", ALL, _devices_ignored, needs_accelerator=True,
    ),
)  # fmt: skip
