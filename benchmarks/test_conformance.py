"""Conformance: what any initializer should do; --initcheck-init checks a custom one."""

from itertools import count

import numpy as np
import torch

from initcheck import Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, randn, zeros
from initcheck.probes import test_accuracy

NETWORK = mlp(784, 64, 32, 32, 10)  # ReLU; torch's default biases unless the initializer sets them
RECIPE = Recipe(Adam(lr=1e-3), batch=32, steps=60)
DEEP = mlp(784, *[256] * 20, 10)  # 20 ReLU layers, wide enough for one start to be typical
START = Recipe(Adam(lr=1e-3), batch=32, steps=1)  # only the start is measured
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
    """A conforming start depends on its generator alone and leaves torch's shared one unchanged.

    Arms are compared seed by seed, so the same seed must give the same start.
    """
    arms = {"treated": Arm(NETWORK, initcheck_init, START), "control": Arm(NETWORK, ANEW, START)}
    verdict.holds(rebuilt_apart, **arms)


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
    """Largest difference between the start and a second build of it.

    At least 1 if building drew from torch's shared generator.
    """
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


def anew_(tensor, generator):  # noqa: ARG001 -- ignoring it makes this a control
    """Draws from a new seed at every call and ignores the generator it is given."""
    values = np.random.default_rng(next(_BUILDS)).standard_normal(tuple(tensor.shape))
    return tensor.copy_(torch.from_numpy(values))


ANEW = every(anew_, name="drawn anew")
