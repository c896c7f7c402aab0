"""Deferred and overwritten starts: values that nothing sets, and constants that do not survive."""

from dataclasses import replace
from functools import partial

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import he, he_normal_, torch_default
from initcheck.initializers.copied import sparing_
from initcheck.networks.sequences import padded, various
from initcheck.notebooks.arms import START
from initcheck.probes.deferred import overwritten_zeros, row_movement, unset_tensors

SPARING = replace(he, name="he, rows of zeros spared", weights=sparing_(he_normal_))
FEW = Recipe(Adam(lr=1e-2), batch=32, steps=5)


@claim(
    source="torch.nn.Module.to_empty; pytorch #104187; llm-foundry #1745; c-deferred-start",
    kind="exact",
)
def test_every_reset_sets_all_of_torchs_layers(verdict):
    """Built on meta and allocated empty, eight kinds of torch's layers reset all they hold.

    A parameter that a module holds itself, without a `reset_parameters`, stays unset.
    """
    verdict.holds(
        unset_tensors,
        treated=Arm(various(), torch_default, START),
        control=Arm(various("token"), torch_default, START),
    )


@claim(source="torch.nn.MultiheadAttention; pytorch #90465; c-deferred-start", kind="exact")
def test_deferred_attention_stays_unset(verdict):
    """Built on meta and allocated empty, nn.MultiheadAttention is left unset by every reset.

    It has no `reset_parameters`, only a private method.
    """
    verdict.holds(
        unset_tensors,
        treated=Arm(various("attention"), torch_default, START),
        control=Arm(various(), torch_default, START),
    )


@claim(source="torch.nn.Embedding; pytorch #6495; c-overwritten-starts", kind="exact")
def test_padding_row_never_moves(verdict):
    """A padding row that an initializer overwrote stays at what it became.

    An embedding's padding row gets no gradient. The same row of one without padding moves.
    """
    verdict.holds(
        partial(row_movement, name="embedding.weight", row=0),
        treated=Arm(padded(), he, FEW),
        control=Arm(padded(padding=False), he, FEW),
    )


@claim(source="derived; PufferLib #459; zoology #32; c-overwritten-starts", kind="exact")
def test_sparing_pass_keeps_zeros_of_the_constructor(verdict):
    """A pass over all weights that spares rows of zeros keeps a padding row and a zero head.

    A pass that fills every weight overwrites both.
    """
    verdict.holds(
        overwritten_zeros,
        treated=Arm(padded(), SPARING, START),
        control=Arm(padded(), he, START),
    )
