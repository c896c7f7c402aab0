"""Lists what the gate trains, from its own claims: ``python -m benchmarks.peers.gate_plan``.

It prints a line of JSON with the number of replica-steps and every perceptron's arm, as
``bounds.Gate`` takes it.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from torch import nn

from initcheck.plugin.lazy_session import opened

ROOT = Path(__file__).parents[2]


class Plan:
    """A pytest plugin that lists the arms of the collected claims without running them."""

    def __init__(self) -> None:
        self.steps, self.perceptrons = 0, []

    def pytest_collection_finish(self, session):
        """Add every arm that the claims compare on the CPU."""
        for job in opened(session.config).jobs_of(session.items, "cpu"):
            self.steps += job.steps
            for arm in job.uses:
                self._note(arm, job.replicas(arm))

    def _note(self, arm, replicas):
        recipe, widths = arm.recipe, _widths(arm) if arm.recipe.steps else None
        if widths:
            self.perceptrons.append({
                "widths": widths, "batch": recipe.batch, "steps": recipe.steps,
                "replicas": replicas, "dtype": recipe.dtype, "optimizer": recipe.optimizer.name,
                "momentum": "momentum" in dict(recipe.optimizer.options),
            })  # fmt: skip


def _widths(arm):
    """The widths of a chain of linear layers; None for any other network."""
    network = arm.network.fresh(0)
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    linear_parameters = {id(p) for m in linear for p in m.parameters()}
    chained = all(a.out_features == b.in_features for a, b in pairwise(linear))
    if not linear or not chained or linear_parameters != {id(p) for p in network.parameters()}:
        return None
    return [linear[0].in_features, *(m.out_features for m in linear)]


def main():
    """Collect the claims and print the plan."""
    plan = Plan()
    sys.stdout, output = sys.stderr, sys.stdout  # pytest prints to stderr, the plan to stdout
    command = [str(ROOT / "benchmarks"), "--collect-only", "--initcheck-device=cpu", "-qq"]
    command += ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    if code := pytest.main(command, plugins=[plan]):
        raise SystemExit(code)
    print(json.dumps({"steps": plan.steps, "perceptrons": plan.perceptrons}), file=output)


if __name__ == "__main__":
    main()
