"""Conformance: what any initializer should do; --initcheck-init checks a custom one."""

from itertools import combinations

import torch

from initcheck import Adam, Arm, Recipe, claim, mlp
from initcheck.global_state import other_global_state
from initcheck.initializers import every, randn, zeros
from initcheck.probes import test_accuracy

NETWORK = mlp(784, 64, 32, 32, 10)  # ReLU; torch's default biases unless the initializer sets them
RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=60)
DEEP = mlp(784, *[256] * 20, 10)  # 20 ReLU layers, wide enough for one start to be typical
START = Recipe(Adam(lr=1e-3), batch=32, steps=1)  # only the start is measured
TWO_ALIKE = mlp(784, 32, 32, 32, 10)  # two hidden layers of one shape, 32 x 32
IMAGES = 64  # given to the deep network; the second moment is over images and units


@claim(source="He et al. 2015, section 2.2; notebook 001", kind="exact")
def test_conforming_start_tells_units_apart(verdict, initcheck_init):
    """A conforming start gives no two hidden units of a layer the same incoming weights.

    Units that start equal get equal gradients and stay equal.
    """
    verdict.holds(
        nearest_units,
        treated=Arm(NETWORK, initcheck_init, RECIPE),
        control=Arm(NETWORK, zeros, RECIPE),
    )


@claim(source="notebook 001", kind="measured")
def test_conforming_start_learns(verdict, initcheck_init):
    """Under Adam, a conforming start makes a ReLU network far more accurate than all zeros do."""
    verdict.gains(
        test_accuracy,
        better=Arm(NETWORK, initcheck_init, RECIPE),
        worse=Arm(NETWORK, zeros, RECIPE),
    )


@claim(source="He et al. 2015, eq. 10", kind="measured")
def test_conforming_start_keeps_the_signal(verdict, initcheck_init):
    """The weights of a conforming start roughly keep the signal's size through many ReLU layers.

    Biases are left out, because they would keep up a signal that vanishes.
    """
    verdict.holds(
        decades_of_signal,
        treated=Arm(DEEP, initcheck_init, START),
        control=Arm(DEEP, randn, START),
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
    """Smallest distance between two hidden units' weights at the start, in the largest entry."""
    layers = [w for name, w in trained.start.items() if "hidden" in name and w.dim() == 3]
    return torch.stack([_nearest(weights) for weights in layers]).amin(0)


def _nearest(weights):
    apart = torch.stack([torch.cdist(w, w, p=torch.inf) for w in weights.double()])  # (R, H, H)
    apart.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return apart.flatten(1).amin(1)


def decades_of_signal(trained):
    """Decades between the second moments of the first and the last hidden pre-activations.

    Only weights count, because biases would keep up a signal that vanishes.
    """
    x = trained.data.test_inputs[:IMAGES].flatten(1).double().cpu()
    x = x.expand(len(trained.seeds), *x.shape)  # (R, N, I)
    moments = []
    for name, weights in trained.start.items():
        if name.startswith("hidden") and name.endswith("weight"):
            z = x @ weights.double().mT
            moments.append(z.square().mean((1, 2)))
            x = z.relu()
    return (moments[-1] / moments[0]).log10().abs()


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
