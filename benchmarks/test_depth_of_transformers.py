"""Depth: what a transformer's start and its first step are at several depths."""

from initcheck import SGD, Adam, Arm, Recipe, claim
from initcheck.initializers import every, lecun_normal_, scaled_, zeros_
from initcheck.networks.transformers import Plan, rows
from initcheck.probes.streams import (
    log_last_gradient,
    log_logits_moved,
    log_stream_moved,
    stream_moved,
)

SHALLOW, DEEP = 1, 6  # blocks of two branches
FLAT, TALL = 4, 16  # blocks of one branch
PLAIN = every(lecun_normal_, zeros_)
STEP = Recipe(SGD(lr=1e-3), batch=32, steps=1)
ADAM_STEP = Recipe(Adam(lr=1e-3), batch=32, steps=1)


def normed(depth, *, after):
    """A transformer with norms before its branches, or after the sums."""
    network = rows(Plan(depth=depth, heads=2, gains=False, after=after))
    return Arm(network, PLAIN, STEP, name=f"{'post' if after else 'pre'}-LN, {depth} blocks")


def deepnorm(depth):
    """A post-LN transformer by DeepNorm's rule for encoders: alpha and beta of its table 1."""
    alpha, smaller = (2 * depth) ** 0.25, scaled_(lecun_normal_, (8 * depth) ** -0.25)
    start = PLAIN
    for layer in ("value", "project", "expand"):
        start = start.but(f"*.{layer}.weight", smaller)
    network = rows(Plan(depth=depth, heads=2, gains=False, after=True, skip=alpha))
    return Arm(network, start, STEP, name=f"DeepNorm, {depth} blocks")


def steadiness(trained):
    """Minus ``log_logits_moved``: larger if the step moves the logits less."""
    return -log_logits_moved(trained)


def perceptrons(depth, branch):
    """A residual perceptron on each row whose branches are multiplied by a number."""
    network = rows(Plan(depth=depth, heads=0, gains=False, branch=branch))
    return Arm(network, PLAIN, ADAM_STEP, name=f"{depth} branches x {branch:.3g}")


@claim(source="Xiong et al., arXiv 2002.04745, Theorem 1; c-pre-ln-last-gradient", kind="measured")
def test_last_gradient_falls_with_depth_under_pre_norm(verdict):
    """At the start, the last layer's gradient falls with depth under pre-LN, not under post-LN.

    By Theorem 1 it falls as one over the root of the depth, since the last norm divides a stream
    that all branches have added to. Large gradients near the head are why post-LN needs warm-up.
    """
    pre = {depth: normed(depth, after=False) for depth in (SHALLOW, DEEP)}
    post = {depth: normed(depth, after=True) for depth in (SHALLOW, DEEP)}
    verdict.gains(log_last_gradient, better=post[DEEP], worse=pre[DEEP], case="differs")
    verdict.gains(log_last_gradient, better=pre[SHALLOW], worse=pre[DEEP], case="falls")
    verdict.gains(log_last_gradient, better=post[DEEP], worse=post[SHALLOW], case="does not fall")


@claim(source="DeepNorm, arXiv 2203.00555, section 4; c-deepnorm-update", kind="measured")
def test_deepnorm_bounds_the_first_step_at_any_depth(verdict):
    """A small SGD step moves a post-LN transformer's logits more with depth, DeepNorm's hardly.

    DeepNorm multiplies the stream by alpha and starts some weights smaller by beta. At these depths
    beta alone does nearly all of it.
    """
    deep, shallow = (normed(depth, after=True) for depth in (DEEP, SHALLOW))
    verdict.gains(log_logits_moved, better=deep, worse=shallow)
    deep, shallow = map(deepnorm, (DEEP, SHALLOW))
    verdict.gains(steadiness, better=deep, worse=shallow)


@claim(
    source="Yang et al., arXiv 2310.02244; Dey et al., arXiv 2505.01618; c-depth-transfer",
    kind="measured",
)
def test_branches_divided_by_depth_move_alike(verdict):
    """One Adam step moves the last state alike at any depth if branches are divided by depth.

    Divided by the root of the depth they move it more the deeper the network is.
    """
    tall, flat = (perceptrons(depth, depth**-0.5) for depth in (TALL, FLAT))
    for depth, case in ((FLAT, "flat"), (TALL, "tall")):
        treated = perceptrons(depth, depth**-1.0)
        verdict.holds(stream_moved, treated=treated, control=tall, case=case)
    verdict.gains(log_stream_moved, better=tall, worse=flat)
