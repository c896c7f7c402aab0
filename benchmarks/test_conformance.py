"""Conformance: what any initializer should do; --initcheck-init asks it of your own."""

from itertools import count

import numpy as np
import torch

from initcheck import Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, randn, zeros
from initcheck.probes import test_accuracy

NETWORK = mlp(784, 64, 32, 32, 10)  # ReLU, torch's default biases where the initializer leaves them
RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=60)
DEEP = mlp(784, *[256] * 20, 10)  # 20 ReLU layers, wide enough for one start to be typical
START = Recipe(Adam(lr=1e-3), batch=32, steps=1)  # only the start is looked at
IMAGES = 64  # seen by the deep network: the second moment is over images and units


@claim(source="He et al. 2015, section 2.2; notebook 001", kind="exact")
def test_conforming_start_tells_units_apart(verdict, initcheck_init):
    """In a ReLU network 784-64-32-32-10, no two hidden units of a layer start with the same
    incoming weights, to within 1e-6; from all zeros they do."""
    verdict.holds(
        nearest_units,
        treated=Arm(NETWORK, initcheck_init, RECIPE),
        control=Arm(NETWORK, zeros, RECIPE),
    )


@claim(source="notebook 001", kind="measured")
def test_conforming_start_learns(verdict, initcheck_init):
    """Under Adam with lr 1e-3, a ReLU network 784-64-32-32-10, with torch's default biases where
    the initializer leaves them alone, is after 60 steps of 32 images at least .3 more accurate than
    from all zeros."""
    verdict.gains(
        test_accuracy,
        better=Arm(NETWORK, initcheck_init, RECIPE),
        worse=Arm(NETWORK, zeros, RECIPE),
    )


@claim(source="He et al. 2015, eq. 10", kind="measured")
def test_conforming_start_keeps_the_signal(verdict, initcheck_init):
    """At the start of a network of 20 ReLU layers of 256 units, the second moment that the weights
    alone give to pre-activations changes by two decades at most from the first hidden layer to the
    last; from N(0, 1) it changes by more."""
    verdict.holds(
        decades_of_signal,
        treated=Arm(DEEP, initcheck_init, START),
        control=Arm(DEEP, randn, START),
    )


@claim(source="every comparison is paired by seed", kind="exact")
def test_conforming_start_depends_on_the_generator_alone(verdict, initcheck_init):
    """Two builds from generators of the same seed are equal in bits, and leave torch's shared
    generator as it was."""
    arms = {"treated": Arm(NETWORK, initcheck_init, START), "control": Arm(NETWORK, ANEW, START)}
    verdict.holds(rebuilt_apart, **arms)


# --- what is measured at the start ----------------------------------------------------------------


def nearest_units(trained):
    """Smallest distance, in the largest entry, between two hidden units' weights at the start."""
    layers = [w for name, w in trained.start.items() if "hidden" in name and w.dim() == 3]
    return torch.stack([_nearest(weights) for weights in layers]).amin(0)


def _nearest(weights):
    apart = torch.stack([torch.cdist(w, w, p=torch.inf) for w in weights.double()])  # (R, H, H)
    apart.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    return apart.flatten(1).amin(1)


def decades_of_signal(trained):
    """Decades between the second moments of the first and the last hidden pre-activations, by the
    weights alone: biases would keep up a signal that vanishes."""
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
    """Largest difference between the start and a second build of it, or 1 where building drew from
    torch's shared generator."""
    return torch.tensor([_rebuilt(trained, r) for r in range(len(trained.seeds))])


def _rebuilt(trained, replica):
    before = torch.get_rng_state()
    module = trained.arm.build(trained.seeds[replica])
    shared = float(not torch.equal(before, torch.get_rng_state()))
    again = {name: p.detach() for name, p in module.named_parameters()}
    apart = [(trained.start[name][replica] - p).abs().max() for name, p in again.items()]
    return float(torch.stack([torch.tensor(shared), *apart]).amax())  # not max(): it drops a NaN


# --- a control that cannot be repeated ------------------------------------------------------------

_BUILDS = count()


def anew_(tensor, generator):  # noqa: ARG001 -- that is what makes it a control
    """Draws from a new seed each time, whatever generator it is given."""
    values = np.random.default_rng(next(_BUILDS)).standard_normal(tuple(tensor.shape))
    return tensor.copy_(torch.from_numpy(values))


ANEW = every(anew_, name="drawn anew")
