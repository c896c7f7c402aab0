"""Conformance: what any initializer should do; --initcheck-init checks a custom one."""

from itertools import combinations

import torch

from initcheck import Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, he_fan_out_, he_normal_, randn, scaled_, zeros
from initcheck.networks import conformance as networks
from initcheck.probes.conformance import (
    behind_the_usual,
    decades_of_gradient,
    decades_of_signal,
    spread_of_gains,
    start_nats,
)
from initcheck.training.randomness import other_global_state

RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=60)
START = Recipe(Adam(lr=1e-3), batch=32, steps=0)  # only the start is measured
FIRST = Recipe(Adam(lr=1e-3), batch=32, steps=1)  # the loss before the first step is measured
TWO_ALIKE = mlp(784, 32, 32, 32, 10)  # two hidden layers of one shape, 32 x 32
FAINT = every(scaled_(he_normal_, 0.1), name="He normal / 10")
FAN_OUT = every(he_fan_out_, name="he_fan_out_")


@claim(source="He et al. 2015, section 2.2; notebook 001", kind="exact")
def test_conforming_start_tells_units_apart(verdict, initcheck_init, initcheck_activation):
    """A conforming start gives no two units of a layer, and no two tokens, the same weights.

    Units that start equal get equal gradients and stay equal.
    """
    shallow = networks.shallow(initcheck_activation)
    embedded = networks.embedded(initcheck_activation)
    verdict.holds(
        nearest_units,
        treated=Arm(shallow, initcheck_init, RECIPE),
        control=Arm(shallow, zeros, RECIPE),
    )
    verdict.holds(
        nearest_units,
        treated=Arm(embedded, initcheck_init, START),
        control=Arm(embedded, zeros, START),
        case="embedding",
    )


@claim(source="notebook 001", kind="measured", seeds=4)
def test_conforming_start_learns(verdict, initcheck_init, initcheck_activation):
    """A conforming start learns nearly as well as the best of the usual ones; all zeros do not.

    The usual ones are He's, Glorot's and torch's default, and each start has the best of three
    learning rates of Adam.
    """
    shallow = networks.shallow(initcheck_activation)
    verdict.holds(
        behind_the_usual,
        treated=Arm(shallow, initcheck_init, RECIPE),
        control=Arm(shallow, zeros, RECIPE),
    )


@claim(source="He et al. 2015, eq. 10 and 14", kind="measured")
def test_conforming_start_keeps_the_signal(verdict, initcheck_init, initcheck_activation):
    """A conforming start roughly keeps signal and gradient through many layers without norms.

    Which gain does so depends on the activation. Biases are left out, because they would keep up a
    signal that vanishes.
    """
    deep = networks.deep(initcheck_activation)
    conforming, control = Arm(deep, initcheck_init, START), Arm(deep, FAINT, START)
    verdict.holds(decades_of_signal, treated=conforming, control=control)
    verdict.holds(decades_of_gradient, treated=conforming, control=control)


@claim(source="He et al. 2015, eq. 10; Glorot & Bengio 2010, eq. 12", kind="theorem")
def test_conforming_start_scales_with_fan_in(verdict, initcheck_init, initcheck_activation):
    """A conforming start gives similar gains to layers that widen, narrow or have groups.

    Fan-out in place of fan-in, a fan of the transposed matrix, and a fan that forgets the kernel
    do not.
    """
    mixed = networks.mixed(initcheck_activation)
    verdict.holds(
        spread_of_gains,
        treated=Arm(mixed, initcheck_init, START),
        control=Arm(mixed, FAN_OUT, START),
    )


@claim(source="second moments of independent terms add up", kind="measured")
def test_conforming_start_is_calm_in_residual_networks(
    verdict, initcheck_init, initcheck_activation
):
    """With norms and residuals, a conforming start answers less wildly than N(0, 1) does."""
    residual = networks.residual(initcheck_activation)
    verdict.gains(
        start_nats,
        better=Arm(residual, initcheck_init, FIRST),
        worse=Arm(residual, randn, FIRST),
    )


@claim(source="every comparison is paired by seed", kind="exact")
def test_conforming_start_depends_on_the_generator_alone(verdict, initcheck_init):
    """A conforming start draws all its weights from the given generator and from nothing else.

    The same seed gives the same start under another state of the global generators of torch, numpy
    and Python, another seed gives other weights, and two layers of one shape differ.
    """
    conforming = Arm(TWO_ALIKE, initcheck_init, START)
    verdict.holds(rebuilt_apart, treated=conforming, control=Arm(TWO_ALIKE, WATCHER, START))
    verdict.holds(seeds_alike, treated=conforming, control=Arm(TWO_ALIKE, ONE_SEED, START))
    verdict.holds(layers_alike, treated=conforming, control=Arm(TWO_ALIKE, RESTARTED, START))


# --- what is measured at the start ----------------------------------------------------------------


def nearest_units(trained):
    """Smallest distance of two hidden units' or tokens' weights at the start, in the largest entry.

    The weights have the shape (R, H, I): replicas, units or tokens, inputs or dimensions.
    """
    watched = ("hidden", "embedding")
    layers = [w for name, w in trained.start.items() if name.startswith(watched) and w.dim() == 3]
    return torch.stack([_nearest(weights) for weights in layers]).amin(0)


def _nearest(weights):
    apart = torch.stack([torch.cdist(w, w, p=torch.inf) for w in weights.double()])  # (R, H, H)
    apart.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return apart.flatten(1).amin(1)


def rebuilt_apart(trained):
    """Largest difference between the start and a build of it under another global random state.

    At least 1 if building drew from torch's global generator.
    """
    return torch.tensor([_rebuilt(trained, r) for r in range(len(trained.seeds))])


def _rebuilt(trained, replica):
    with other_global_state(OTHER):
        before = torch.get_rng_state()
        module = trained.arm.build(trained.seeds[replica])
        shared = float(not torch.equal(before, torch.get_rng_state()))
    again = {name: p.detach() for name, p in module.named_parameters()}
    apart = [(trained.start[name][replica] - p).abs().max() for name, p in again.items()]
    return float(torch.stack([torch.tensor(shared), *apart]).amax())  # not max(): it drops a NaN


def seeds_alike(trained):
    """Number of weights that start from the same bits under the next seed."""
    counts = []
    for replica, seed in enumerate(trained.seeds):
        other = dict(trained.arm.build(seed + 1).named_parameters())
        start = {name: each[replica] for name, each in trained.start.items()}
        counts.append(sum(torch.equal(start[name], other[name]) for name in _weights(start)))
    return torch.tensor(counts, dtype=torch.float64)


def layers_alike(trained):
    """Number of pairs of layers of one shape that start from the same bits."""
    counts = []
    for replica in range(len(trained.seeds)):
        start = {name: each[replica] for name, each in trained.start.items()}
        pairs = combinations(_weights(start), 2)
        counts.append(sum(torch.equal(start[one], start[other]) for one, other in pairs))
    return torch.tensor(counts, dtype=torch.float64)


def _weights(start):
    return [name for name, parameter in start.items() if parameter.dim() > 1]


# --- controls: each is a function of its seed, and wrong in one way -------------------------------

OTHER = 20151206  # seed of the other global state


def watcher_(tensor, generator):
    """Adds 1 to its draws if torch's global generator is in the other state."""
    return tensor.normal_(generator=generator).add_(float(torch.initial_seed() == OTHER))


def one_seed_(tensor, generator):  # noqa: ARG001 -- ignoring it makes this a control
    """Draws from a seed that is written in its code."""
    return tensor.normal_(generator=torch.Generator().manual_seed(0))


def restarted_(tensor, generator):
    """Draws every layer from the beginning of its generator."""
    return tensor.normal_(generator=torch.Generator().manual_seed(generator.initial_seed()))


WATCHER = every(watcher_, name="N(0, 1) plus a global state")
ONE_SEED = every(one_seed_, name="N(0, 1) from one seed")
RESTARTED = every(restarted_, name="N(0, 1), the same for equal shapes")
