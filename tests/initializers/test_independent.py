"""Weights that are drawn independently follow their distribution, at the scale set by their fans.

Note [Power of these tests]
    Every weight here has N >= 20 000 elements. The variance of N draws then has a relative standard
    error of at most sqrt(2 / N) = 0.010 (a normal law's; the others have thinner tails). The limit
    0.06 is six of them: a false alarm has probability 2e-9. A scale wrong by a factor 1.1 moves the
    variance to 1.21 or 0.826 of what it should be, another 11 standard errors past the limit.
    The mean may be off by six standard errors, std / sqrt(N); without its negative half a uniform
    law would be off by 120.
    The distance between empirical and exact distribution function exceeds sqrt(ln(2 / p) / (2 N))
    with probability at most p, for every law (Massart 1990); p is 1e-9 here.
    A uniform law leaves the outer 40 / N of its width empty, on a given side, with probability
    e^-40; a law cut at +-2 leaves the outer 0.02 empty with e^-22.
    With 500 cases, a change of torch's generator raises a false alarm with less than 1e-6.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import init

from initcheck.initializers import independent
from initcheck.initializers.factory import TensorInitializer

Law = Callable[[int, int], Any]  # a frozen scipy distribution, from fan-in and fan-out


def normal(std: float) -> Any:
    return stats.norm(0, std)


def uniform(low: float, high: float) -> Any:
    return stats.uniform(low, high - low)


def symmetric(bound: float) -> Any:
    return uniform(-bound, bound)


NORMAL: dict[str, tuple[TensorInitializer, Law]] = {
    "he_normal_": (independent.he_normal_, lambda n, _: normal(math.sqrt(2 / n))),
    "he_fan_out_": (independent.he_fan_out_, lambda _, m: normal(math.sqrt(2 / m))),
    "lecun_normal_": (independent.lecun_normal_, lambda n, _: normal(math.sqrt(1 / n))),
    "glorot_normal_": (independent.glorot_normal_, lambda n, m: normal(math.sqrt(2 / (n + m)))),
    "randn_": (independent.randn_, lambda *_: normal(1)),
    "normal_(0.02)": (independent.normal_(0.02), lambda *_: normal(0.02)),
    "scaled_(he_normal_)": (
        independent.scaled_(independent.he_normal_, 0.5),
        lambda n, _: normal(0.5 * math.sqrt(2 / n)),
    ),
}
UNIFORM: dict[str, tuple[TensorInitializer, Law]] = {
    "he_uniform_": (independent.he_uniform_, lambda n, _: symmetric(math.sqrt(6 / n))),
    "lecun_uniform_": (independent.lecun_uniform_, lambda n, _: symmetric(math.sqrt(3 / n))),
    "glorot_uniform_": (
        independent.glorot_uniform_,
        lambda n, m: symmetric(math.sqrt(6 / (n + m))),
    ),
    "torch_default_weight_": (independent.torch_default_weight_, lambda n, _: symmetric(n**-0.5)),
    "uniform_(-0.3, 0.1)": (independent.uniform_(-0.3, 0.1), lambda *_: uniform(-0.3, 0.1)),
    "siren_(30)": (independent.siren_(30), lambda n, _: symmetric(math.sqrt(6 / n) / 30)),
    "siren_(first)": (independent.siren_(30, first=True), lambda n, _: symmetric(1 / n)),
    "positive_uniform_(he)": (
        independent.positive_uniform_("he"),
        lambda n, _: uniform(0, math.sqrt(2 / n)),
    ),
    "positive_uniform_(lecun)": (
        independent.positive_uniform_("lecun"),
        lambda n, _: uniform(0, math.sqrt(1 / n)),
    ),
}
CUT = {
    "trunc_normal_(0.02)": (
        independent.trunc_normal_(0.02),
        lambda *_: stats.truncnorm(-2, 2, scale=0.02 / stats.truncnorm(-2, 2).std()),
    ),
    "trunc_normal_(2)": (
        independent.trunc_normal_(2),
        lambda *_: stats.truncnorm(-2, 2, scale=2 / stats.truncnorm(-2, 2).std()),
    ),
}
LAWS = NORMAL | UNIFORM | CUT
LAYERS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {  # with its fan-in and fan-out
    "wide": (lambda: nn.Linear(200, 100), 200, 100),
    "tall": (lambda: nn.Linear(100, 200), 100, 200),
    "convolution": (lambda: nn.Conv2d(60, 40, 3), 60 * 9, 40 * 9),
    "grouped": (lambda: nn.Conv2d(240, 80, 3, groups=4), 60 * 9, 80 * 9),
}

every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
every_layer = pytest.mark.parametrize("layer", LAYERS)


@functools.cache
def weights(law: str, layer: str, dtype: torch.dtype) -> Any:
    """The weights that a layer gets, flat, sorted, in float64."""
    weight = LAYERS[layer][0]().to(dtype).get_parameter("weight")
    LAWS[law][0](weight, torch.Generator().manual_seed(2110))
    return np.sort(weight.detach().double().numpy(), axis=None)


def expected(law: str, layer: str) -> Any:
    """The frozen scipy distribution that these weights should follow."""
    _, inputs, outputs = LAYERS[layer]
    return LAWS[law][1](inputs, outputs)


@every_dtype
@every_layer
@pytest.mark.parametrize("law", LAWS)
def test_weights_have_the_mean_of_their_law(law, layer, dtype):
    """The mean is within six standard errors of the distribution's."""
    drawn, exact = weights(law, layer, dtype), expected(law, layer)
    assert abs(drawn.mean() - exact.mean()) <= 6 * exact.std() / math.sqrt(drawn.size)


@every_dtype
@every_layer
@pytest.mark.parametrize("law", LAWS)
def test_weights_have_the_variance_of_their_law(law, layer, dtype):
    """The variance is the law's within 6 %, which a factor 1.1 in scale exceeds."""
    drawn, exact = weights(law, layer, dtype), expected(law, layer)
    assert drawn.var() == pytest.approx(exact.var(), rel=0.06)  # Note [Power of these tests]


@every_dtype
@every_layer
@pytest.mark.parametrize("law", LAWS)
def test_weights_have_the_distribution_of_their_law(law, layer, dtype):
    """Empirical and exact distribution functions are no further apart than chance allows."""
    drawn = weights(law, layer, dtype)
    distance = stats.ks_1samp(drawn, expected(law, layer).cdf, method="asymp").statistic
    assert distance <= math.sqrt(math.log(2e9) / (2 * drawn.size))  # Note [Power of these tests]


@every_dtype
@every_layer
@pytest.mark.parametrize("law", UNIFORM)
def test_uniform_weights_fill_their_interval(law, layer, dtype):
    """A uniform law stays inside its bounds and comes close to both of them."""
    drawn = weights(law, layer, dtype)
    low, high = expected(law, layer).support()
    rounding, close = 1e-6 * (high - low), 40 / drawn.size * (high - low)
    assert low - rounding <= drawn[0] <= low + close
    assert high - close <= drawn[-1] <= high + rounding


@every_dtype
@every_layer
@pytest.mark.parametrize("law", CUT)
def test_cut_weights_end_at_two_sigma(law, layer, dtype):
    """A truncated law comes close to twice its parent's standard deviation, never past it."""
    drawn = weights(law, layer, dtype)
    edge = expected(law, layer).support()[1]
    assert 0.98 * edge <= np.abs(drawn).max() <= (1 + 1e-6) * edge


@every_dtype
@pytest.mark.parametrize("law", CUT)
def test_cut_weights_do_not_pile_up_at_the_edge(law, dtype):
    """Truncation draws again: a clamp would put 4.6 % of the weights, here 910, on the edge."""
    size = np.abs(weights(law, "wide", dtype))
    assert np.count_nonzero(size > size.max() * (1 - 1e-6)) <= 10  # 0.005 are expected there


def test_constant_weights_are_that_constant():
    """constant_ fills with the value it was made with."""
    filled = independent.constant_(0.01)(torch.empty(3, 4, dtype=torch.float64), torch.Generator())
    assert torch.equal(filled, torch.full((3, 4), 0.01, dtype=torch.float64))


@pytest.mark.parametrize(
    ("initializer", "value"), [(independent.zeros_, 0.0), (independent.ones_, 1.0)]
)
def test_zeros_and_ones_are_exact(initializer, value):
    """zeros_ and ones_ overwrite every entry."""
    assert initializer(torch.full((5,), torch.nan), torch.Generator()).tolist() == [value] * 5


# --- randomized asymmetric starts -----------------------------------------------------------------


def asymmetric_draw() -> torch.Tensor:
    """20,000 units of three inputs: weights, and in the last column the bias."""
    tensor = torch.empty(100, 200, 4)
    return independent.randomized_asymmetric_(tensor, torch.Generator().manual_seed(5))


def test_asymmetric_start_has_one_positive_entry_per_row():
    """Each entry is from Beta(2, 1) with a probability of 1/4, else from N(0, .6007^2 / 3)."""
    entries = asymmetric_draw().double().flatten().numpy()
    normal_part, positive_part = normal(0.6007 / math.sqrt(3)), stats.beta(2, 1)
    result = stats.kstest(
        entries, lambda x: 0.75 * normal_part.cdf(x) + 0.25 * positive_part.cdf(x)
    )
    assert result.statistic < math.sqrt(math.log(2 / 1e-9) / (2 * len(entries)))


def test_asymmetric_start_favours_no_place():
    """The means of weights and bias are equal: (2 / 3) / 4, within six standard errors."""
    means = asymmetric_draw().double().mean((0, 1))
    assert (means - 1 / 6).abs().max() < 6 * 0.45 / math.sqrt(20_000)


def test_positive_entries_are_beta():
    entries = independent.positive_entries((20_000,), torch.Generator().manual_seed(6)).numpy()
    statistic = stats.kstest(entries, stats.beta(2, 1).cdf).statistic
    assert statistic < math.sqrt(math.log(2 / 1e-9) / (2 * len(entries)))


# --- scaled draws ---------------------------------------------------------------------------------


def he_draw(initializer: TensorInitializer = independent.he_normal_) -> torch.Tensor:
    return initializer(torch.empty(50, 40), torch.Generator().manual_seed(7))


def test_scaled_is_the_draw_times_the_factor():
    """scaled_ draws what its initializer draws, bit for bit, and multiplies."""
    assert torch.equal(he_draw(independent.scaled_(independent.he_normal_, 0.25)), he_draw() * 0.25)


WRAPPED = {
    "constant_": independent.constant_(1),
    "normal_": independent.randn_,
    "uniform_": independent.uniform_(0, 1),
    "kaiming_normal_": independent.he_normal_,
    "kaiming_uniform_": independent.torch_default_weight_,
    "xavier_normal_": independent.glorot_normal_,
    "xavier_uniform_": independent.glorot_uniform_,
    "trunc_normal_": independent.trunc_normal_(1),
}


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_a_fault_in_torch_is_seen(wrapped, monkeypatch):
    """Functions of torch are looked up at each call, so a fault in torch shows here."""
    monkeypatch.setattr(init, wrapped, lambda tensor, *_, **__: tensor.fill_(123))
    assert WRAPPED[wrapped](torch.empty(4, 4), torch.Generator()).eq(123).all()


@pytest.mark.parametrize(
    ("initializer", "name"),
    [
        (independent.constant_(0.01), "constant_(0.01)"),
        (independent.constant_(1), "constant_(1)"),
        (independent.normal_(1e-6), "normal_(1e-06)"),
        (independent.uniform_(-1, 0.5), "uniform_(-1, 0.5)"),
        (independent.positive_uniform_("he"), 'positive_uniform_("he")'),
        (independent.siren_(30), "siren_(30)"),
        (independent.siren_(30, first=True), "siren_(30, first=True)"),
        (independent.scaled_(independent.normal_(2), 0.5), "scaled_(normal_(2), 0.5)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_initializer_is_named_as_written(initializer, name):
    """The name of an initializer with hyperparameters is the code that creates it."""
    assert initializer.__name__ == name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (independent.constant_(1), independent.constant_(value=1.0)),
        (independent.siren_(30), independent.siren_(30.0, first=False)),
        (
            independent.scaled_(independent.he_normal_, 2),
            independent.scaled_(independent.he_normal_, factor=2.0),
        ),
    ],
    ids=["constant_", "siren_", "scaled_"],
)
def test_same_arguments_give_the_same_initializer(one, other):
    """Equal arguments give the same object, by position or by keyword."""
    assert one is other


def test_different_arguments_give_different_initializers():
    """Different arguments never share a cache entry."""
    assert independent.constant_(1) is not independent.constant_(2)


def test_unknown_rule_is_refused():
    """positive_uniform_ names the rules that exist."""
    with pytest.raises(ValueError, match='knows the rules "he" and "lecun", not "glorot"'):
        independent.positive_uniform_("glorot")
