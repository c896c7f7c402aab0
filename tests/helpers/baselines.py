"""Made-up limits, and evidence of one claim on several devices."""

from __future__ import annotations

import copy
import json

GOOD = {"max": 1.0, "unit": "nats", "kind": "measured", "why": "because", "fault": "a fault"}


def written(folder, entry=GOOD, head="a_claim.a_probe"):
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
    (folder / "limits.toml").write_text("\n".join([f"[{head}]", *lines]), encoding="utf-8")
    return folder / "limits.toml"


MEANS = {"treated_mean": 1.0, "treated_std": 0.1, "control_mean": 2.0, "control_std": 0.1}
REFERENCE = {
    "seeds": [1, 2], "steps": [0, 1, 2], "losses": [[2.3, 2.2, 2.1]] * 2,
    "envelope": [1e-7, 1e-7, 2e-7], "start": {"w": [[1.0, -0.5], [1.1, 0.5]]}, "order": [7, 8],
    "layers": {"w": [[0.5], [0.6]]},
    "ways": {"w": {"sketches": [[[0.5, -0.1, 0.4], [1, 0, 2]]] * 2, "envelope": [0, 1e-6]}},
}  # fmt: skip
ENTRY = {
    "environment": {
        "device type": "cpu", "device": "a CPU", "torch": "2.14.1",
        "matmul precision": "highest", "threads": 2,
    },
    "reason": "first", "date": "2026-01-01", "commit": "abc", "data": {"mnist5k": "0123"},
    "arms": {"A": {"seeds": [1, 2], "reference": REFERENCE},
             "B": {"seeds": [1, 2], "reference": REFERENCE}},
    "comparisons": {"loss": {"hash": "0" * 16, "transform": "log", "treated_arm": "A",
                             "control_arm": "B", "treated": [1.0, 1.1], "control": [2.0, 2.1]}},
    "origin": {"loss": MEANS | {"date": "2026-01-01"}},
}  # fmt: skip


def entry(kind="cpu", device="a CPU", date="2026-01-02", **means):
    """The entry of one environment."""
    made = copy.deepcopy(ENTRY)
    made["environment"] |= {"device type": kind, "device": device}
    made["date"] = made["origin"]["loss"]["date"] = date
    made["origin"]["loss"] |= means
    return made


def whole(*entries):
    return {"schema": 1, "claim": "a_claim", "environments": list(entries)}


CPU, H200, A100 = entry(), entry("cuda", "H200"), entry("cuda", "A100")
