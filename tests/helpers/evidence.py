"""Small made-up evidence that fits the schema, for several test files."""

from __future__ import annotations

import json

ARMS = {
    side: f"mlp | {name} | SGD | sky" for side, name in (("treated", "warm"), ("control", "cold"))
}
REFERENCE = {"seeds": [1], "steps": [0], "losses": [[1.0]], "envelope": [1e-6],
             "start": {}, "layers": {}}  # fmt: skip
ENVIRONMENT = {"device type": "cpu", "device": "an abacus", "torch": "2.14.1",
               "matmul precision": "ieee", "threads": 1}  # fmt: skip


def comparison(treated, transform="logit"):
    """Values of the treated arm, and a control that always gives 0.1."""
    return {
        "hash": "0" * 16, "transform": transform, "treated_arm": ARMS["treated"],
        "control_arm": ARMS["control"], "treated": treated, "control": [0.1] * 64,
    }  # fmt: skip


def evidence(claim, **comparisons):
    """The text of an evidence file."""
    means = ("treated_mean", "treated_std", "control_mean", "control_std")
    origin = dict.fromkeys(means, 0.5) | {"date": "2026-11-22"}
    entry = {
        "environment": ENVIRONMENT, "reason": "first light", "date": "2026-11-22", "commit": "",
        "data": {}, "comparisons": comparisons, "origin": dict.fromkeys(comparisons, origin),
        "arms": {
            ARMS[side]: {"seeds": [*range(1, 1 + _most(side, comparisons))], "reference": REFERENCE}
            for side in ARMS
        },
    }  # fmt: skip
    return json.dumps({"schema": 1, "claim": claim, "environments": [entry]})


def _most(side, comparisons):
    return max((len(each[side]) for each in comparisons.values()), default=1)
