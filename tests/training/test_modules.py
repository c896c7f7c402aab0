"""Networks without stacked layers take the engine that computes their forward pass exactly."""

from __future__ import annotations

import copy
import threading
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from initcheck.training.modules import alike
from initcheck.training.train import draws, train
from tests.helpers import toy
from tests.helpers.agreement import assert_engines_agree


def layers():
    return [nn.Flatten(), nn.Linear(20, 20), nn.ReLU(), nn.Linear(20, 20), nn.Linear(20, 4)]


def tied():
    module = nn.Sequential(*layers())
    module[3].bias = module[1].bias
    return module


def repeated():
    flatten, square, relu, _, last = layers()
    return nn.Sequential(flatten, square, relu, square, relu, last)


def hooked():
    module = nn.Sequential(*layers())
    module[3].register_forward_hook(lambda layer, inputs, output: 0.1 * output)
    return module


class Doubled(nn.Linear):
    """A linear layer that does not compute what its base class does."""

    def forward(self, x):
        return 2 * super().forward(x)


class Wrapped(nn.Module):
    """A module around another."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)


def subclassed():
    return nn.Sequential(nn.Flatten(), Doubled(20, 4))


class Numbered(toy.Residual):
    """Its output shrinks with every call, so one call too many shows."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) / self.calls


class Shifting(toy.Residual):
    """Changes its inputs in place."""

    def forward(self, x):
        x -= 0.5
        return super().forward(x)


@pytest.mark.parametrize(
    "build", [toy.Residual, tied, repeated, hooked, subclassed, Numbered, Shifting]
)
def test_modules_without_a_stacked_form_go_by_torch_func(build):
    assert_engines_agree(toy.of_user(build), named="ensemble (torch.func)")


class Buffered(toy.Residual):
    """Counts its calls, as running statistics do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


class Counting(toy.Residual):
    """Takes another branch at every call, so one call too many shows."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        if x.amax() > 2 * x.amin():
            x = x * self.calls
        return super().forward(x)


class Projecting(toy.Residual):
    """Draws a projection that is neither a parameter nor a buffer."""

    def __init__(self):
        super().__init__()
        self.projection = torch.randn(20, 20) / 4

    def forward(self, x):
        return super().forward(x.flatten(1) @ self.projection)


class Silent(toy.Residual):
    """All its logits are zero at the start, whatever each seed draws outside the parameters."""

    def __init__(self, draw):
        super().__init__()
        for parameter in self.outer.parameters():
            nn.init.zeros_(parameter)
        self.held = draw()


class SilentlyProjecting(Silent):
    """Projects its images by what it drew."""

    def forward(self, x):
        return super().forward(x.flatten(1) @ torch.as_tensor(self.held))


class SilentlyOrdering(Silent):
    """Permutes the pixels by what it drew."""

    def forward(self, x):
        return super().forward(x.flatten(1)[:, self.held])


class SilentlyAmplifying(Silent):
    """Multiplies its images by what it drew."""

    def forward(self, x):
        return super().forward(x * self.held)


def projection():
    return torch.randn(20, 20) / 4


SILENT = {
    "tensor": partial(SilentlyProjecting, projection),
    "array": partial(SilentlyProjecting, lambda: projection().numpy()),
    "order": partial(SilentlyOrdering, lambda: torch.randperm(20).tolist()),
    "gain": partial(SilentlyAmplifying, lambda: float(1 + torch.rand(()))),
}


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_starts_with_equal_logits_still_train_their_own_modules(build):
    """By the logits of the starts alone, any module could be the template of all."""
    assert_engines_agree(toy.of_user(build), named="module")


def shared_batch_norm():
    norm = nn.BatchNorm1d(20)
    return nn.Sequential(nn.Flatten(), norm, nn.Linear(20, 20), norm, nn.Linear(20, 4))


@pytest.mark.parametrize(
    "build", [toy.Deciding, toy.Dropping, Buffered, Counting, Projecting, shared_batch_norm]
)
def test_modules_that_cannot_be_mapped_take_plain_steps(build):
    assert_engines_agree(toy.of_user(build), named="module")


class Locked(toy.Residual):
    """Holds an object that cannot be copied."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class Remembering(toy.Residual):
    """Holds a computed tensor in a nested attribute."""

    def __init__(self):
        super().__init__()
        self.held = {"scales": [self.gain * 2]}


def weight_normed():
    """Weight normalization in torch's older form: a hook computes the weight."""
    layer = nn.Linear(20, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(nn.Flatten(), nn.utils.weight_norm(layer), nn.Linear(20, 4))


def pruned():
    layer = nn.Linear(20, 20)
    mask = torch.arange(400).view(20, 20) % 2
    prune.custom_from_mask(layer, "weight", mask)
    return nn.Sequential(nn.Flatten(), layer, nn.Linear(20, 4))


@pytest.mark.parametrize("build", [Locked, Remembering, weight_normed, pruned])
def test_modules_that_cannot_be_copied_take_plain_steps(build):
    """They train one after the other, since they may draw random numbers."""
    arm = toy.of_user(build)
    assert_engines_agree(arm, named="module")
    assert draws(arm, toy.data())
    shared = train(arm, (3, 5), toy.data(), jobs=2)
    alone = train(arm, (3, 5), toy.data())
    assert torch.equal(shared.losses, alone.losses)


def mask_in_place(parameter):
    parameter.grad[::2] = 0


def masked(register):
    """A network that masks half of one layer's gradient, as sparse training does."""
    module = nn.Sequential(*layers())
    register(module[3].weight)
    return module


GRADIENT_HOOKS = {
    "of a tensor": lambda p: p.register_hook(lambda gradient: gradient * (torch.arange(20) % 2)),
    "after it is there": lambda p: p.register_post_accumulate_grad_hook(mask_in_place),
}


@pytest.mark.parametrize("register", GRADIENT_HOOKS.values(), ids=GRADIENT_HOOKS)
@pytest.mark.parametrize("around", [lambda module: module, Wrapped], ids=["layers", "own module"])
def test_hooks_on_gradients_take_plain_steps(register, around):
    assert_engines_agree(toy.of_user(lambda: around(masked(register))), named="module")


def frozen():
    module = nn.Sequential(*layers())
    module[1].requires_grad_(False)
    return module


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_frozen_parameters_stay(engine):
    trained = train(toy.of_user(frozen), (3, 5), toy.data(), engine=engine)
    still = {n for n, p in trained.parameters.items() if torch.equal(p, trained.start[n])}
    assert still == {"1.weight", "1.bias"}


class Answering(toy.Residual):
    """Returns logits in another dtype."""

    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return super().forward(x).to(self.dtype)


@pytest.mark.parametrize("engine", ["ensemble", "module"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_logits_may_have_another_dtype_than_images(dtype, engine):
    """Steps with float64 logits equal those with float32 logits; bfloat16 has epsilon 2^-8."""
    usual = train(toy.of_user(toy.Residual), (3, 5), toy.data())
    trained = train(toy.of_user(partial(Answering, dtype)), (3, 5), toy.data(), engine=engine)
    apart = ((trained.losses - usual.losses).abs() / usual.losses).max()
    assert apart < 4 * torch.finfo(dtype).eps + 1e-5
    assert trained.parameters["inner.weight"].dtype == torch.float32


def test_float64_logits_of_float32_images_are_still_trained_together():
    named = "ensemble (torch.func)"
    assert_engines_agree(toy.of_user(partial(Answering, torch.float64)), named=named)


class Gained(nn.Module):
    """A linear layer with an attribute."""

    def __init__(self, gain):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.gain = gain


def identity(x):
    return x


@pytest.mark.parametrize(
    "gain", [2.0, "same", None, identity, {"a": (1, [True])}, torch.float64, nn.ReLU]
)
def test_modules_are_alike_if_what_they_hold_is_equal(gain):
    assert alike([Gained(gain), Gained(gain), Gained(gain)])


def layer_of_its_own():
    class Layer(nn.Module):
        pass

    return Layer()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Gained(1.0), Gained(2.0)),
        (Gained([1, 2]), Gained([2, 1])),
        (Gained(lambda x: x), Gained(lambda x: x)),
        (layer_of_its_own(), layer_of_its_own()),
        (nn.Linear(2, 3), nn.Linear(3, 2)),
        (nn.Linear(2, 2), nn.Linear(2, 2, bias=False)),
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.GELU())),
        (nn.ReLU(), nn.ReLU().eval()),
        (nn.Sequential(*layers()), tied()),
    ],
)
def test_modules_that_hold_or_share_other_things_are_not_alike(one, other):
    assert not alike([one, other])


@pytest.mark.parametrize("held", [np.ones(2), torch.ones(2), object(), {"a": {1: object()}}])
@pytest.mark.parametrize("first", [None, 1.0])
def test_modules_are_not_called_alike_if_equality_says_too_little(first, held):
    assert not alike([Gained(held), Gained(held)])
    assert not alike([Gained(first), Gained(held)])


@pytest.mark.parametrize("build", [toy.Residual, tied])
def test_mapping_modules_that_are_alike_calls_few_of_them(build, monkeypatch):
    calls = []
    monkeypatch.setattr(
        copy, "deepcopy", lambda it, *_, of=copy.deepcopy: calls.append(it) or of(it)
    )
    train(toy.of_user(build), range(8), toy.data())
    assert len(calls) == 2 + 2 + 1  # two to compare, a template for each comparison, one to train
