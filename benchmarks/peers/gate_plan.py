"""What the gate trains: ``python -m benchmarks.peers.gate_plan`` prints it, told by its own claims.

A line of JSON: replica-steps in all, and every perceptron's arm as ``bound.Gate`` takes it.
"""

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from torch import nn

from initcheck.plugin.lazy_session import opened
from initcheck.plugin.plan import jobs, seeds_of

ROOT = Path(__file__).parents[2]


class Told:
    """A pytest plugin that notes the arms of the claims collected, and runs none."""

    def __init__(self) -> None:
        self.steps, self.perceptrons = 0, []

    def pytest_collection_finish(self, session):
        """What the claims would compare on the CPU."""
        verdicts = opened(session.config).declared(session.items, "cpu").values()
        for job in jobs(verdicts):
            self.steps += job.steps
            for arm, uses in job.uses.items():
                self._note(arm, len(seeds_of(uses)))

    def _note(self, arm, replicas):
        recipe, widths = arm.recipe, _widths(arm) if arm.recipe.steps else None
        if widths:
            self.perceptrons.append({
                "widths": widths, "batch": recipe.batch, "steps": recipe.steps,
                "replicas": replicas, "dtype": recipe.dtype, "optimizer": recipe.optimizer.name,
                "momentum": "momentum" in dict(recipe.optimizer.options),
            })  # fmt: skip


def _widths(arm):
    """Of a chain of linear layers, else None."""
    network = arm.network.fresh(0)
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)]
    held = {id(p) for m in linear for p in m.parameters()}
    chained = all(a.out_features == b.in_features for a, b in pairwise(linear))
    if not linear or not chained or held != {id(p) for p in network.parameters()}:
        return None
    return [linear[0].in_features, *(m.out_features for m in linear)]


def main():
    """Collect, and print what was told."""
    told = Told()
    sys.stdout, answers = sys.stderr, sys.stdout  # what pytest prints is no answer
    command = [str(ROOT / "benchmarks"), "--collect-only", "--initcheck-device=cpu", "-qq"]
    command += ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    if code := pytest.main(command, plugins=[told]):
        raise SystemExit(code)
    print(json.dumps({"steps": told.steps, "perceptrons": told.perceptrons}), file=answers)


if __name__ == "__main__":
    main()
