"""Torch's own starts: what its attention, encoder and recurrent layers begin with.

Some are traps. If torch changes them, these claims say so.
"""

from dataclasses import replace
from functools import partial

from initcheck import Arm, claim
from initcheck.initializers import (
    Initializer,
    every,
    glorot_uniform_,
    he_normal_,
    lecun_normal_,
    partial_identity_,
    torch_default,
    zeros_,
)
from initcheck.initializers.recurrent import forget_bias_
from initcheck.networks.sequences import IRNN, LSTM, WIDE, attention, encoder
from initcheck.notebooks.arms import START
from initcheck.probes.copies import gap_between_layers
from initcheck.probes.projections import output_variance_error, query_variance_error
from initcheck.probes.recurrent import cell_gradient_error, state_gradient_error

FORGET = 1.0  # Jozefowicz et al. 2015
ONCE = replace(
    every(zeros_, zeros_).but("cell.bias_ih_*", forget_bias_(FORGET)),
    name="zero weights, forget bias 1",
)
TWICE = replace(
    ONCE.but("cell.bias_hh_*", forget_bias_(FORGET)), name="zero weights, forget bias 1 in both"
)
IDENTITY = Initializer("identity recurrence", he_normal_, zeros_).but(
    "cell.weight_hh_*", partial_identity_
)
RANDOM = IDENTITY.but("cell.weight_hh_*", lecun_normal_)


@claim(source="torch.nn.TransformerEncoder; pytorch #86274; c-encoder-layers-alike", kind="exact")
def test_encoder_layers_start_as_copies(verdict):
    """All layers of nn.TransformerEncoder start as copies, bit for bit; nn.Transformer's do not.

    The encoder copies the layer that it is given, and draws nothing. nn.Transformer draws every
    weight again.
    """
    verdict.holds(
        partial(gap_between_layers, layers="encoder.layers"),
        treated=Arm(encoder(), torch_default, START),
        control=Arm(encoder(whole=True), torch_default, START),
    )


@claim(source="torch.nn.MultiheadAttention; pytorch #166378; c-fused-qkv-variance", kind="theorem")
def test_packed_projections_start_at_half_of_xaviers_variance(verdict):
    """nn.MultiheadAttention starts packed queries at half of the variance of separate ones.

    Xavier's law counts all three projections as outputs of one layer. The output projection has the
    variance of a linear layer.
    """
    packed = Arm(attention(), torch_default, START)
    verdict.holds(
        partial(query_variance_error, law=1 / 2),
        treated=packed,
        control=Arm(attention(WIDE // 2), torch_default, START),
    )
    verdict.holds(
        partial(output_variance_error, law=1 / 3),
        treated=packed,
        control=Arm(
            attention(), torch_default.but("attention.out_proj.weight", glorot_uniform_), START
        ),
    )


@claim(
    source="Jozefowicz et al. 2015, section 4.2; pytorch #750; flood-forecasting #289; "
    "b-lstm-forget-bias",
    kind="theorem",
)
def test_forget_bias_sets_the_memory_of_an_lstm(verdict):
    """With zero weights, an LSTM keeps sigmoid(b) of its cell a step, b the sum of two biases.

    This holds in every layer and direction. Set in both of torch's biases, b is twice as large.
    """
    verdict.holds(
        partial(cell_gradient_error, forget=FORGET),
        treated=Arm(LSTM, ONCE, START),
        control=Arm(LSTM, TWICE, START),
    )


@claim(source="arXiv 1504.00941, section 3; b-irnn-exact", kind="exact")
def test_identity_recurrence_keeps_its_gradient(verdict):
    """A ReLU recurrence that starts at the identity passes gradients on unchanged.

    The state is positive and its input zero. A random recurrence loses it or lets it explode.
    """
    verdict.holds(
        state_gradient_error,
        treated=Arm(IRNN, IDENTITY, START),
        control=Arm(IRNN, RANDOM, START),
    )
