"""What each fault of ``initcheck/faults/copies.py`` says, answered yes while it lasts."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from initcheck.initializers import copied, data_dependent, every, normal_, signs, zeros_
from initcheck.initializers.recurrent import forget_bias_
from initcheck.networks import adapters, experts, ranks, widened


def drawn_factors():
    """Whether each factor of a new adapter has values other than zero."""
    adapter = adapters.Adapter(nn.Linear(4, 3), rank=2)
    return bool(adapter.lora_a.any()), bool(adapter.lora_b.any())


def equal_parts(draw):
    """Whether both halves of a tensor drawn in two parts are equal."""
    generator = torch.Generator().manual_seed(0)
    first, second = draw(normal_(1.0), 2)(torch.empty(4, 3), generator).chunk(2)
    return torch.equal(first, second)


def gate_sum(*, normalized):
    """The sum of a gate that keeps one expert of probability .4."""
    mixture = experts.Mixture(3, 1, normalized=normalized)
    return round(float(mixture.gate(torch.tensor([[0.4, 0.3, 0.2, 0.1]])).sum()), 6)


def encoder_layers_are_equal():
    """Whether both layers of a new encoder are equal."""
    layer = nn.TransformerEncoderLayer(4, 2, 8)
    first, second = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).layers
    return torch.equal(first.linear1.weight, second.linear1.weight)


def packed_variance():
    """The second moment of a large packed projection, times its width."""
    weight = nn.MultiheadAttention(64, 2).in_proj_weight
    return float(weight.detach().square().mean()) * 64


def forget_biases():
    """Which layers of an LSTM get a forget bias that is requested for all."""
    module = nn.Sequential(OrderedDict(cell=nn.LSTM(2, 2, num_layers=2)))
    every(zeros_, zeros_).but("cell.bias_ih_*", forget_bias_(1.0))(module, torch.Generator())
    return [bool(module.cell.get_parameter(f"bias_ih_l{n}").any()) for n in (0, 1)]


def reset_again(layer):
    """Whether a second reset sets what was overwritten."""
    nn.init.constant_(layer.weight, 7.0)
    layer.reset_parameters()
    return float(layer.weight.detach()[0]) == 1.0


def padding_gradient():
    """The gradient of a padding row that is looked up."""
    embedding = nn.Embedding(3, 2, padding_idx=0)
    embedding(torch.tensor([0, 1])).sum().backward()
    return float(embedding.weight.grad[0, 0])


def principal_remainder():
    """The largest entry of what is left of a weight of rank one after its principal part."""
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    adapters.principal(layer, 1)
    return round(float(layer.weight.detach().abs().max()), 5)


SAYS = {
    "adapter_drawn_whole": lambda: drawn_factors() == (True, True),
    "adapter_zeroed_whole": lambda: drawn_factors() == (False, False),
    "principal_part_kept": lambda: principal_remainder() == 1.0,
    "magnitudes_are_one": lambda: float(adapters.row_lengths(torch.ones(1, 4))) == 1.0,
    "rank_scales_swapped": lambda: ranks.scale(4, root=True) == 0.25,
    "divided_by_variance": lambda: (
        float(data_dependent.spread(torch.tensor([-3.0, 3.0]), by_unit=False)) > 10
    ),
    "mean_not_subtracted": lambda: not data_dependent.shift(torch.ones(2, 2)).any(),
    "signs_lost": lambda: float(signs.signs(torch.tensor(-2.0))) == 1.0,
    "noise_lost": lambda: not signs.noise_like(torch.ones(2), 1.0, torch.Generator()).any(),
    "shards_from_one_seed": lambda: equal_parts(copied.shards_),
    "copies_drawn_separately": lambda: not equal_parts(copied.copied_),
    "outgoing_weights_whole": lambda: widened.shares(0.5) == (1.0, 1.0),
    "outgoing_shares_unequal": lambda: widened.shares(0.5) == (0.3, 0.7),
    "gate_normalized": lambda: gate_sum(normalized=False) == 1.0,
    "gate_not_normalized": lambda: gate_sum(normalized=True) == 0.4,
    "encoder_layers_redrawn": lambda: not encoder_layers_are_equal(),
    "projections_drawn_separately": lambda: packed_variance() > 0.75,
    "forget_bias_in_first_layer": lambda: forget_biases() == [True, False],
    "norm_resets_once": lambda: not reset_again(nn.GroupNorm(1, 2)),
    "attention_resets": lambda: hasattr(nn.MultiheadAttention, "reset_parameters"),
    "padding_gets_gradient": lambda: padding_gradient() == 1.0,
    "zeros_overwritten": lambda: bool(
        copied.sparing_(normal_(1.0))(torch.zeros(2, 2), torch.Generator()).any()
    ),
}
