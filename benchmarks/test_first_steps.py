"""First steps: how large they are, under Adam with a large eps and under Muon.

Adam's first step is the learning rate for gradients far above eps, and vanishes for those below.
Muon's has nearly equal singular values, whatever those of the gradient.
"""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck import SGD, Adam, Arm, Recipe, RMSprop, claim, mlp
from initcheck.arms import optimizer, order
from initcheck.initializers import he
from initcheck.probes.probe import largest

LR = 0.01
EPS = 1e-3  # about as large as the gradients
HUGE_EPS = 3.0  # at least three times any gradient
NETWORK = mlp(784, 64, 10)
NO_BIAS = mlp(784, 64, 10, activation="tanh", bias=False)  # no unit is dead
MUON_LR = 0.02
WHOLE_RANK = 256  # images in a batch, four times the units, so that no direction is missing


def one_step(chosen, batch=32):
    """A single step."""
    return Recipe(chosen, batch, 1)


def eps_law_error(trained):
    """Largest distance of a weight's first step from lr g / (|g| + eps), in lr, float64.

    Gradients g are computed here, in a plain pass.
    """
    options = dict(trained.arm.recipe.optimizer.options)
    lr, eps = options["lr"], options["eps"]
    errors = []
    for seed, start, after in zip(
        trained.seeds, trained.replicas(at_start=True), trained.replicas(), strict=True
    ):
        module = trained.arm.build(seed).to(trained.device)
        images = order(seed, len(trained.data.train_targets), trained.arm.recipe)[0]
        images = images.to(trained.device)
        logits = module(trained.data.train_inputs[images])
        torch.autograd.backward(F.cross_entropy(logits, trained.data.train_targets[images]))
        each = [
            (start[name].double() - after[name].double()) / lr - _law(p.grad.double(), eps)
            for name, p in module.named_parameters()
        ]
        errors.append(largest(torch.cat([e.flatten() for e in each]).abs()[None]))
    return torch.cat(errors)


def _law(gradient, eps):
    return gradient / (gradient.abs() + eps)


def largest_step(trained):
    """The largest change of a weight, in learning rates."""
    lr = dict(trained.arm.recipe.optimizer.options)["lr"]
    moved = [trained.parameters[name].cpu() - start for name, start in trained.start.items()]
    return torch.stack([largest(each.double().abs()) / lr for each in moved]).amax(0)


@claim(source="Kingma and Ba 2014, algorithm 1; arXiv 2407.05872; b-adam-eps-floor", kind="theorem")
def test_gradients_below_eps_hardly_move_weights_under_adam(verdict):
    """Adam's first step is |g| / (|g| + eps) of its usual size, a quarter for eps / 3.

    A start that shrinks gradients below eps therefore hardly trains. RMSprop's first step, which is
    not corrected, follows another law.
    """
    verdict.holds(
        eps_law_error,
        treated=Arm(NETWORK, he, one_step(Adam(lr=LR, eps=EPS))),
        control=Arm(NETWORK, he, one_step(RMSprop(lr=LR, eps=EPS))),
    )
    verdict.holds(
        largest_step,
        treated=Arm(NETWORK, he, one_step(Adam(lr=LR, eps=HUGE_EPS)), name="eps 3"),
        control=Arm(NETWORK, he, one_step(Adam(lr=LR)), name="eps 1e-8"),
    )


def condition_of_step(trained):
    """Largest over smallest singular value of the change of hidden1's weight, float64."""
    moved = trained.parameters["hidden1.weight"].cpu() - trained.start["hidden1.weight"]
    values = torch.linalg.svdvals(moved.double())
    return values[:, 0] / values[:, -1]


@claim(
    source="Jordan 2024, Muon; arXiv 2310.17813; DeepSpeed issue 8441; c-muon-step", kind="measured"
)
def test_muon_step_has_nearly_equal_singular_values(verdict):
    """Muon's first step moves a layer in all directions nearly alike; SGD's in a few of them.

    torch has Muon from release 2.9 on.
    """
    if not hasattr(torch.optim, "Muon"):
        pytest.skip(f"torch {torch.__version__} has no Muon, which torch has from release 2.9 on")
    muon = optimizer("Muon", lr=MUON_LR, weight_decay=0.0)
    verdict.holds(
        condition_of_step,
        treated=Arm(NO_BIAS, he, one_step(muon, WHOLE_RANK)),
        control=Arm(NO_BIAS, he, one_step(SGD(lr=MUON_LR), WHOLE_RANK)),
    )
