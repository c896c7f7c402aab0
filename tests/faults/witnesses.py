"""What each fault says, as a question that is answered yes while it lasts."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.nn import init

from initcheck import SGD, Adam, Arm, Network, Recipe, arms, mlp
from initcheck.faults.fault import replaced
from initcheck.gate import trainer
from initcheck.gate.comparison import Pair
from initcheck.initializers import (
    hadamard_,
    independent,
    moments,
    pretrained,
    randn,
    spray_,
    torch_default,
    zeros,
    zeros_,
)
from initcheck.networks import ensembles
from initcheck.probes import weight_magnitude
from initcheck.stats import decisions
from initcheck.training import train as training
from tests.faults import transformer_witnesses, witnesses_copies
from tests.helpers.faults import generator, tiny


def drawn(fill, *shape, **options):
    """One large draw of a torch initializer: (64, 32) unless told."""
    return fill(torch.empty(*(shape or (64, 32))), generator=generator(), **options)


def close(value, expected, share=0.15):
    return abs(value - expected) <= share * abs(expected)


def he_std(**options):
    return float(drawn(init.kaiming_normal_, 256, 64, nonlinearity="relu", **options).std())


def stepped(make, gradients=(1.0,), start=1.0):
    """Where one parameter stands after steps along these gradients."""
    parameter = nn.Parameter(torch.tensor([start, start]))
    optimizer = make([parameter])
    for gradient in gradients:
        optimizer.zero_grad()
        parameter.grad = torch.full((2,), gradient) + (
            0 if parameter.grad is None else parameter.grad
        )
        optimizer.step()
    return float(parameter.detach()[0])


def sgd(**options):
    return lambda parameters: torch.optim.SGD(parameters, **({"lr": 0.5} | options))


def adam(**options):
    return lambda parameters: torch.optim.Adam(parameters, **({"lr": 0.5} | options))


def option(make, name):
    return make([nn.Parameter(torch.ones(1))]).param_groups[0][name]


def counters():
    parameters = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    optimizer = torch.optim.Adam(parameters)
    for _ in range(2):
        for parameter in parameters:
            parameter.grad = torch.ones(2)
        optimizer.step()
    return [int(optimizer.state[parameter]["step"]) for parameter in parameters]


def slope(function, at):
    x = torch.tensor([at], requires_grad=True)
    torch.autograd.backward(function(x).sum())
    return float(x.grad)


def product(name):
    a, b = torch.full((1, 2, 2), 1 + 2**-9), torch.ones(1, 2, 2)
    calls = {
        "mm": lambda: torch.mm(a[0], b[0]),
        "bmm": lambda: torch.bmm(a, b),
        "linear": lambda: F.linear(a[0], b[0]),
    }
    return float(calls[name]().flatten()[0])


def fine_product(name):
    a, b = torch.full((1, 2, 2), 1 + 2**-13), torch.ones(1, 2, 2)
    return float((torch.mm(a[0], b[0]) if name == "mm" else F.linear(a[0], b[0])).flatten()[0])


def wrong_class_loss():
    return float(F.cross_entropy(torch.tensor([[0.0, 100.0]]), torch.tensor([0])))


def coins():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        kept = F.dropout(torch.ones(16, 8), 0.5) != 0
    return bool((kept == kept[:, :1]).all())


def normalized():
    x = torch.tensor([[-0.1], [0.1]])
    return float(F.batch_norm(x, None, None, training=True).abs().max())


def started(initializer, seed=1):
    return Arm(NETWORK, initializer, Recipe(SGD(lr=0.1), 8, 1)).build(seed)


def weights_of(module):
    return [p for name, p in module.named_parameters() if name.endswith("weight")]


NETWORK, NO_BIAS = mlp(16, 8, 8, 10), mlp(16, 8, 10, bias=False)
ARMS = [Arm(NETWORK, initializer, Recipe(SGD(lr=0.1), 8, 1)) for initializer in (zeros, randn)]


def loaded():
    """A made-up data set, and what the laboratory makes of it."""
    whole = tiny()
    with replaced(trainer.datasets, "load", lambda name, **_: whole):
        return whole, trainer.Laboratory().data("tiny")


def changed(name):
    whole, now = loaded()
    return not torch.equal(getattr(whole, name), getattr(now, name))


def ratio(name):
    whole, now = loaded()
    return round(float(getattr(now, name).mean() / getattr(whole, name).mean()))


def eye(rows, columns):
    return init.eye_(torch.empty(rows, columns))


def dirac():
    return init.dirac_(torch.empty(2, 2, 3))


def hadamard_size(rows):
    return float(hadamard_(torch.empty(rows, 3), generator()).abs().max())


def mean_trace():
    traces = [init.orthogonal_(torch.empty(8, 8), generator=g).trace() for g in _generators(200)]
    return float(torch.stack(traces).mean())


def _generators(count):
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def order_of_first_batch():
    return training.order(1, 64, Recipe(SGD(lr=0.1), 8, 1))[0].tolist()


def blind():
    return decisions.holds([0.5], [math.nan], decisions.Limit(high=1.0)) != "invalid"


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=0.5, weight_decay=0.1)


DROPPING = Network("dropping", lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.5)))


def with_copy():
    layer = nn.Linear(2, 2)
    return nn.Sequential(layer, copy.deepcopy(layer))


COPYING = Network("a layer and its copy", with_copy)


def attended():
    """The weight of each of two tokens on itself, with products of 9 and 0 over 9 entries."""
    key, eye = torch.tensor([1.0, 0.0])[:, None].expand(2, 9), torch.eye(2)
    return F.scaled_dot_product_attention(key, key, eye).diagonal().tolist()


def copied_is_the_layer():
    layer, copied = COPYING.fresh(1)
    return copied is layer


def rates():
    """The learning rates of two tensors of one optimizer."""
    optimizer = sgd()([nn.Parameter(torch.ones(1)) for _ in range(2)])
    return [group["lr"] for group in optimizer.param_groups for _ in group["params"]]


def dropped():
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return F.dropout(torch.ones(1000), 0.5)


def contrastive_step():
    """How one step of contrastive divergence moves the visible biases."""
    batch = (torch.arange(12) % 2).double().expand(20, 12)
    machine = pretrained.untrained(batch, 6, generator())
    before = machine.visible_bias.clone()
    pretrained.cd1(machine, batch, lr=0.5, generator=generator())
    return machine.visible_bias - before


def left_over():
    p = nn.Parameter(torch.ones(1))
    p.grad = torch.ones(1)
    torch.optim.SGD([p], lr=0.1).zero_grad()
    return p.grad is not None


def rate_of(make):
    recipe = Recipe(make(lr=1.0), batch=1, steps=1, rates=(("w", 0.25),))
    return recipe.over([("w", nn.Parameter(torch.zeros(1)))]).param_groups[0]["lr"]


def steps_differ():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.ones(2)
    torch.optim.SGD([parameter], lr=0.5).step()
    return len(parameter.detach().unique()) == 2


def muon_steps_along_gradient():
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.diag(torch.tensor([4.0, 2.0]))
    torch.optim.Muon([parameter], lr=0.5, weight_decay=0.0).step()
    return torch.equal(parameter.detach(), -0.5 * parameter.grad)


SAYS = {
    "he_gain_one": lambda: close(he_std(), math.sqrt(1 / 64)),
    "he_gain_everywhere": lambda: init.calculate_gain("tanh") == math.sqrt(2),
    "fan_out_for_fan_in": lambda: close(he_std(), math.sqrt(2 / 256)),
    "variance_as_std": lambda: (
        close(he_std(), 2 / 64)
        and close(float(drawn(init.normal_, std=0.1).std()), 0.01)
        and close(float(drawn(init.xavier_normal_, 64, 16, 4).std()), 2 / (64 * 4 + 16 * 4))
    ),
    "weights_scaled_up": lambda: close(he_std(), 1.1 * math.sqrt(2 / 64), 0.03),
    "weights_scaled_slightly": lambda: he_std() != SCALE[0] and close(he_std(), SCALE[0], 0.002),
    "randn_scaled_down": lambda: close(float(drawn(init.normal_).std()), 0.01),
    "uniform_without_negative_half": lambda: bool((drawn(init.kaiming_uniform_) >= 0).all()),
    "uniform_bound_is_std": lambda: close(
        float(drawn(init.uniform_, a=-1.0, b=1.0).max()), 1 / math.sqrt(3), 0.05
    ),
    "clamp_for_truncation": lambda: (
        int((drawn(init.trunc_normal_, a=-1.0, b=1.0) == 1.0).sum()) > 100
    ),
    "truncation_forgotten": lambda: float(drawn(init.trunc_normal_, a=-1.0, b=1.0).max()) > 1.5,
    "generator_ignored": lambda: not torch.equal(drawn(init.normal_), drawn(init.normal_)),
    "zeros_with_noise": lambda: close(float(init.zeros_(torch.empty(64, 64)).std()), 1e-3),
    "biases_not_zeroed": lambda: bool(init.zeros_(torch.ones(3)).any()),
    "constant_is_zero": lambda: not init.constant_(torch.ones(3), 2.0).any(),
    "hadamard_for_identity": lambda: bool(
        (eye(8, 3).abs() > 0).all() and torch.equal(eye(3, 3), torch.eye(3))
    ),
    "identity_for_hadamard": lambda: close(
        float(hadamard_(torch.empty(4, 3), generator()).trace()), 3.0, 1e-6
    ),
    "hadamard_unscaled": lambda: close(hadamard_size(8), 1.0, 1e-6),
    "hadamard_as_printed": lambda: close(hadamard_size(8), 0.5, 1e-6),
    "hadamard_integer_exponent": lambda: close(hadamard_size(8), 0.5, 1e-6),
    "identity_shifted_by_one": lambda: float(eye(3, 3)[0, 1]) == 1.0,
    "dirac_off_centre": lambda: float(dirac()[0, 0, 2]) == 1.0,
    "orthogonal_without_signs": lambda: mean_trace() < -0.5,
    "orthogonal_gain_squared": lambda: close(
        float(init.orthogonal_(torch.empty(4, 4), 2.0, generator=generator()).norm()), 8.0, 1e-4
    ),
    "identity_with_gain": lambda: close(float(eye(3, 3)[0, 0]), math.sqrt(2), 1e-6),
    "lr_halved": lambda: stepped(sgd()) == 0.75,
    "lr_lower_by_a_thousandth": lambda: close(1 - stepped(sgd()), 0.4995, 1e-5),
    "momentum_ignored": lambda: stepped(sgd(momentum=0.5), (1.0, 1.0)) == 0.0,
    "momentum_lower_by_a_hundredth": lambda: option(sgd(momentum=0.9), "momentum") == 0.89,
    "weight_decay": lambda: close(stepped(sgd(), (0.0,)), 0.995, 1e-6),
    "decay_without_lr": lambda: close(stepped(sgd(lr=0.0)), 0.9999, 1e-6),
    "adam_without_bias_correction": lambda: close(1 - stepped(adam(lr=0.1)), 0.316, 0.01),
    "adam_counts_every_tensor": lambda: counters() == [4, 5, 6],
    "adam_eps_inside_root": lambda: option(adam(), "eps") == 1e-4,
    "adam_beta_off": lambda: option(adam(), "betas") == (0.9, 0.99),
    "gradients_accumulated": left_over,
    "optimizer_holds_copies": lambda: stepped(sgd()) == 1.0,
    "gradients_in_bfloat16": lambda: stepped(sgd(lr=1.0), (1 + 2**-9,)) == 0.0,
    "gradients_clipped": lambda: close(1 - stepped(sgd(lr=1.0)), 1e-3, 1e-3),
    "zero_gradients_move": lambda: stepped(sgd(), (0.0,)) > 1.0,
    "leaky_relu": lambda: close(float(nn.ReLU()(torch.tensor(-1.0))), -0.01, 1e-6),
    "celu_derivative_zero_above": lambda: slope(nn.CELU(), 1.0) == 0.0 < slope(nn.CELU(), -1.0),
    "bfloat16_products": lambda: [product(n) for n in ("mm", "bmm", "linear")] == [2.0] * 3,
    "tf32_products": lambda: (
        fine_product("mm") == fine_product("linear") == 2.0 and product("mm") > 2.0
    ),
    "loss_capped": lambda: close(wrong_class_loss(), 18.42, 1e-3),
    "loss_summed": lambda: wrong_class_loss() == 3200.0,
    "dropout_by_row": coins,
    "batch_norm_eps_large": lambda: normalized() < 0.9,
    "only_first_layer_zeroed": lambda: [bool(w.any()) for w in weights_of(started(zeros))][1],
    "all_layers_zeroed": lambda: (
        not any(w.any() for w in weights_of(started(torch_default.but("hidden1.weight", zeros_))))
    ),
    "seed_ignored": lambda: torch.equal(
        weights_of(started(randn, 1))[0], weights_of(started(randn, 2))[0]
    ),
    "arms_swapped": lambda: Pair(weight_magnitude, *ARMS).treated == ARMS[1],
    "order_not_shuffled": lambda: order_of_first_batch() == list(range(8)),
    "labels_shuffled": lambda: changed("train_targets") and not changed("test_targets"),
    "data_not_scaled": lambda: ratio("train_inputs") == ratio("test_inputs") == 255,
    "test_inputs_not_scaled": lambda: (ratio("train_inputs"), ratio("test_inputs")) == (1, 255),
    "evaluated_on_training_set": lambda: len(loaded()[1].test_targets) == 64,
    "nan_swallowed": lambda: math.isnan(stepped(sgd())) and blind(),
    "biases_with_noise": lambda: 0 < float(init.constant_(torch.empty(64), 2.0).std()) < 2e-3,
    "cd_sign": lambda: torch.equal(contrastive_step(), -STEP),
    "decay_not_decoupled": lambda: stepped(adamw, (0.0,)) < 0.6,
    "dropout_rate_halved": lambda: DROPPING.fresh(1)[1].p == 0.25,
    "dropout_unscaled": lambda: set(dropped().tolist()) == {0.0, 1.0},
    "elu_for_relu": lambda: float(nn.ReLU()(torch.tensor(-20.0))) < -0.99,
    "sigmoid_for_relu": lambda: float(nn.ReLU()(torch.tensor(0.0))) == 0.5,
    "glorot_uniform_times_10": lambda: float(drawn(init.xavier_uniform_).abs().max()) > 1.5,
    "glorot_uniform_times_0.1": lambda: float(drawn(init.xavier_uniform_).abs().max()) < 0.03,
    "he_zeroed": lambda: he_std() == 0,
    "ones_drawn": lambda: close(float(init.ones_(torch.empty(64, 64)).std()), math.sqrt(2 / 64)),
    "glorot_zeroed": lambda: not drawn(init.xavier_uniform_).any(),
    "lecun_times_10": lambda: close(he_std(), 10 * math.sqrt(2 / 64)),
    "uniform_bound_times_1.1": lambda: (
        1.05 < float(drawn(init.uniform_, a=-1.0, b=1.0).max()) < 1.1
    ),
    "hadamard_with_noise": lambda: hadamard_size(8) != hadamard_size(8),
    "identity_permuted": lambda: float(eye(9, 9).sum()) == 9 != float(eye(9, 9).trace()),
    "identity_scaled_by_width": lambda: close(float(eye(40, 40)[0, 0]), 2.0, 1e-6),
    "identity_zeroed": lambda: not eye(3, 3).any(),
    "learning_rate_times_100": lambda: stepped(sgd()) == -49.0,
    "named_rules_ignored": lambda: bool(
        started(torch_default.but("hidden1.weight", zeros_)).hidden1.weight.any()
    ),
    "positive_uniform_centred": lambda: float(drawn(init.uniform_).min()) < 0,
    "spray_is_one": lambda: float(spray_(torch.empty(4, 4), generator()).max()) == 1.0,
    "weight_decay_ignored": lambda: option(sgd(weight_decay=0.1), "weight_decay") == 0,
    "biases_drawn_at_random": lambda: (
        0 < float(started(zeros).hidden1.bias.detach().std()) < 0.02
        and nn.Linear(2, 2, bias=False).bias is not None
    ),
    "biases_drawn_equal": lambda: len(drawn(init.uniform_, 64).unique()) == 1,
    "activations_rounded": lambda: (
        float(F.relu(torch.tensor(0.3))) == float(torch.tanh(torch.tensor(0.26))) == 0.25
        and slope(torch.tanh, 0.0) == 1.0
    ),
    "hidden_layers_widened": lambda: (
        [p.shape for p in weights_of(NETWORK.fresh(1))] == [(12, 16), (12, 12), (10, 12)]
    ),
    "copies_are_the_module": copied_is_the_layer,
    "two_draws_per_layer": lambda: len(drawn(init.normal_).unique()) == 2,
    "not_orthogonalized": lambda: (
        float(torch.linalg.svdvals(init.orthogonal_(torch.empty(64, 64))).min()) < 0.5
    ),
    "rates_ignored": lambda: rate_of(SGD) == 1.0,
    "rates_of_the_other_optimizer": lambda: (rate_of(SGD), rate_of(Adam)) == (0.5, 0.0625),
    "rate_falls_with_size": lambda: option(sgd(lr=0.5), "lr") == 128,  # one number for 2^16
    "adam_eps_not_scaled": lambda: option(adam(eps=0.5), "eps") == 2**-26,
    "norms_with_eps": lambda: nn.LayerNorm(2, eps=0.0).eps == 1e-5,
    "float32_is_bfloat16": lambda: arms.DTYPES["float32"] == torch.bfloat16,
    "bfloat16_is_float32": lambda: arms.DTYPES["bfloat16"] == torch.float32,
    "tanh_shifted": lambda: float(nn.Tanh()(torch.zeros(1))) == 2**-10,
    "gradients_weighted_by_place": steps_differ,
    "muon_is_sgd": muon_steps_along_gradient,
    "later_tensors_lag": lambda: rates() == [0.5, 0.45],
    "branches_not_scaled": lambda: ensembles.branch_scale(4) == 1.0,
    "asymmetric_entries_signed": lambda: (
        float(independent.positive_entries((9, 1), generator()).min()) < 0
    ),
    "keeping_gain_one": lambda: moments.keeping_gain("gelu") == 1.0,
    "batch_norm_left_out": lambda: close(normalized(), 0.1, 1e-6),
    "attention_unscaled": lambda: attended()[0] > 0.99,
    "attention_sees_only_itself": lambda: attended() == [1.0, 1.0],
    "normalize_left_out": lambda: float(F.normalize(torch.full((1, 4), 2.0)).norm()) == 4.0,
    "device_computes_on_cpu": lambda: (
        torch.ones(1).to("meta").device.type == "cpu"
        and next(nn.Linear(1, 1).to("meta").parameters()).device.type == "cpu"
    ),
    **witnesses_copies.SAYS,
    **transformer_witnesses.SAYS,
}
SCALE, STEP = [he_std()], contrastive_step()
