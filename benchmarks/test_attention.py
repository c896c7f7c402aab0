"""Attention at the start: its scale, its norms, its zeros, and what it does without skips."""

from functools import partial

from initcheck import Arm, claim
from initcheck.initializers import lecun, lecun_normal_, scaled_, torch_default, zeros_
from initcheck.networks.attention import attention, head
from initcheck.notebooks.arms import START
from initcheck.probes.attention import (
    attention_change,
    attention_entropy,
    attention_spread,
    tokens_apart,
)

DEPTH, WIDTH = 8, 64


@claim(
    source="Dong et al., arXiv 2103.03404, Theorem 2.2; c-attention-rank-collapse", kind="theorem"
)
def test_attention_without_skips_makes_all_tokens_equal(verdict):
    """Without skips, a few layers of attention leave all tokens of an image the same.

    Each layer replaces tokens by averages of tokens, and the difference that is left falls doubly
    exponentially with depth. Skips slow this down.
    """
    verdict.holds(
        tokens_apart,
        treated=Arm(attention(DEPTH, WIDTH, skip=False), torch_default, START),
        control=Arm(attention(DEPTH, WIDTH, skip=True), torch_default, START),
    )


@claim(source="Vaswani et al., arXiv 1706.03762, section 3.2.1; b-attn-scale", kind="theorem")
def test_scaled_attention_starts_spread_out_at_every_width(verdict):
    """Attention starts spread over all tokens if products are divided by the root of the width.

    Without the division, or with queries as much too large, attention of a wide head starts on a
    few tokens.
    """
    wide = head(256)
    peaked = Arm(wide, lecun.but("query.weight", scaled_(lecun_normal_, 256**0.5)), START)
    for width in (16, 64, 256):
        treated = Arm(head(width), lecun, START)
        verdict.holds(attention_entropy, treated=treated, control=peaked, case=f"width {width}")


@claim(source="Dehghani et al., arXiv 2302.05442, section 2; b-attn-scale", kind="exact")
def test_normalized_queries_and_keys_hide_the_scale_of_their_weights(verdict):
    """With normalized queries and keys, attention does not depend on the scale of their weights.

    The scale here is a power of two, so that nothing is rounded.
    """
    verdict.holds(
        partial(attention_change, factor=16.0),
        treated=Arm(head(64, normalized=True), lecun, START),
        control=Arm(head(64), lecun, START),
    )


@claim(source="Yang et al., arXiv 2203.03466, appendix D.2; b-attn-scale", kind="exact")
def test_zero_queries_attend_uniformly(verdict):
    """With zero weights of the queries, every token attends to all tokens alike.

    All products are exactly zero, so all weights are equal.
    """
    verdict.holds(
        attention_spread,
        treated=Arm(head(64), lecun.but("query.weight", zeros_), START),
        control=Arm(head(64), lecun, START),
    )
