"""Branches that start silent: how they wake, and what never does."""

from fnmatch import fnmatchcase
from functools import partial

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import he, uniform_, zeros_
from initcheck.networks.branches import CHUNKS, branches
from initcheck.networks.transformers import Plan, rows
from initcheck.probes.signals import changed_between
from initcheck.probes.units import movement

ONE = Recipe(Adam(lr=1e-3), batch=32, steps=1)
LONG = Recipe(Adam(lr=1e-2), batch=16, steps=20)

# What is zero at the start, and which parts of a block have a gradient then.
SILENT = {
    "batch-normed": ("*.last_norm.weight", ("*.last_norm.weight", "*.last_norm.bias")),
    "scaled": ("*.alpha", ("*.alpha",)),
    "controlled": ("*.last.*", ("*.last.weight", "*.last.bias")),
    "modulated": ("*.modulation.*", ("*.modulation.*<2>", "*.modulation.*<5>")),  # the gates
}
# Where an image is dark, a stem without biases gives exact zeros, at ReLU's kink. Some convolutions
# return a few 1e-6 there, as those of NNPACK do, and then the derivative is 1 instead of 0.
LIT = he.but("stem.bias", uniform_(0.1, 0.3))
# Two tensors of a block in series; with both at zero, neither moves.
SERIES = {
    "alpha and last layer": (branches("scaled"), LIT, ("*.0.alpha", "*.0.last.weight")),
    "both layers of a gate": (
        branches("gated"), LIT, ("*.0.gate_last.weight", "*.0.gate_first.weight"),
    ),
    "queries and keys": (
        rows(Plan(depth=1, width=16, heads=2)), he, ("*.query.weight", "*.key.weight"),
    ),
}  # fmt: skip


def wrong_wakings(trained, awake):
    """Parts of blocks that have a gradient too early, or none once one step has been taken.

    A part is a parameter, or a sixth of a modulation's. Before the first step only the parts whose
    names match ``awake`` may have a gradient; before the second all must.
    """
    module = trained.arm.build(trained.seeds[0]).to(trained.device)
    data, errors = trained.data, []
    for r in range(len(trained.seeds)):
        images = trained.first_batch[r].to(trained.device)
        count = 0
        for state, late in ((trained.start, False), (trained.parameters, True)):
            replica = {name: p[r].to(trained.device).requires_grad_() for name, p in state.items()}
            logits = torch.func.functional_call(module, replica, (data.train_inputs[images],))
            loss = F.cross_entropy(logits, data.train_targets[images])
            grads = torch.autograd.grad(loss, list(replica.values()))
            for name, part in parts(zip(replica, grads, strict=True)):
                due = late or any(fnmatchcase(name, pattern) for pattern in awake)
                count += bool((part != 0).any()) != due
        errors.append(float(count))
    return torch.tensor(errors, dtype=torch.float64)


def parts(grads):
    """The gradients of the blocks by name; a modulation's in its six chunks, from 0."""
    for name, grad in grads:
        if name.startswith("blocks."):
            chunks = grad.chunk(CHUNKS) if "modulation" in name else [grad]
            for number, chunk in enumerate(chunks):
                yield (f"{name}<{number}>" if len(chunks) > 1 else name), chunk


@pytest.mark.parametrize("kind", SILENT)
@claim(
    source="Goyal et al., arXiv 1706.02677, section 5.1; De & Smith, arXiv 2002.10444; "
    "ControlNet, arXiv 2302.05543; DiT, arXiv 2212.09748; alphafold3-pytorch #15; "
    "b-zero-branch-identity, b-zero-conv",
    kind="exact",
)
def test_zeroed_branches_are_the_identity_and_wake_from_their_end(verdict, kind):
    """Blocks whose last factor is zero are the identity, and that factor gets a gradient first.

    It is a norm's gain, a scalar, a last layer or a gate. After the first step all of the block has
    a gradient.
    """
    pattern, awake = SILENT[kind]
    last = "head" if kind == "modulated" else "blocks.1"
    treated = Arm(branches(kind), he.but(pattern, zeros_), ONE)
    control = Arm(branches(kind), he, ONE)
    verdict.holds(partial(wrong_wakings, awake=awake), treated=treated, control=control)
    first = "blocks.0.norms.0" if kind == "modulated" else "blocks.0"
    verdict.holds(
        partial(changed_between, first=first, last=last), treated=treated, control=control
    )


@pytest.mark.parametrize("series", SERIES)
@claim(
    source="ReZero, arXiv 2003.04887; LAVT-RIS #25, alphafold3-pytorch #303; "
    "c-double-zero, b-rezero-double-zero",
    kind="exact",
)
def test_two_zeros_in_series_never_move(verdict, series):
    """Two factors that both start at zero never move under Adam; with one of them zero both do.

    Each one's gradient is a product with the other. In the gate only the last layer may be zero:
    ReLU's derivative at 0 is 0, so a first layer of zeros never moves whatever the last one is.
    """
    network, start, (one, other) = SERIES[series]
    every = [name for name, _ in network.fresh(0).named_parameters()]
    names = tuple(n for n in every if fnmatchcase(n, one) or fnmatchcase(n, other))
    verdict.holds(
        partial(movement, names=names),
        treated=Arm(network, start.but(one, zeros_).but(other, zeros_), LONG),
        control=Arm(network, start.but(one, zeros_), LONG),
    )
