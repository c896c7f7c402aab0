"""Results made by hand: one claim of each verdict, for the tests of the reports."""

from __future__ import annotations

from typing import Any

from initcheck.results import ClaimResult, Comparison, Drift, Environment, Run, Settings, worst

ENVIRONMENT = Environment(
    initcheck="0.1.0",
    python="3.11.2",
    torch="2.14.1",
    torchvision="0.29.1",
    numpy="2.4.6",
    scipy="1.17.1",
    platform="Linux-6.1-x86_64",
    devices=[
        {"name": "cpu", "type": "cpu", "hardware": "AMD EPYC 9B14"},
        {"name": "cuda", "type": "cuda", "hardware": "NVIDIA H200", "memory": 139},
    ],
    matmul_precision="highest",
    threads=2,
)

SETTINGS = Settings(baselines="baselines")

CONTRACT = "false alarms: 8e-5 per comparison, 1 % of runs of the suite"


def drift(verdict: Any = "unchanged", **more: Any) -> Drift:
    """An arm against evidence of 64 seeds, one standard deviation being 0.09."""
    known: Any = {
        "verdict": verdict,
        "r": 1.3,
        "mean": 0.612,
        "recorded_mean": 0.61,
        "recorded_std": 0.09,
        "recorded_n": 64,
        "allowed": 0.1,
        "detectable_shift": 0.126,
        "environment": "CPU float32, torch 2.14.1, 2026-11-22",
    }
    return Drift(**known | more)


def probe(verdict: Any = "pass", **more: Any) -> Comparison:
    """A probe that holds a loss under a limit, on four seeds."""
    known: Any = {
        "probe": "training_loss",
        "case": "",
        "unit": "nats",
        "form": "holds",
        "kind": "measured",
        "why": "He keeps the second moment of activations; randn saturates the softmax.",
        "fault": "gain sqrt(2) -> 1",
        "limit": {"min": None, "max": 1.2},
        "verdict": verdict,
        "reason": "",
        "stage": 1,
        "seeds": [11, 12, 13, 14],
        "treated": [0.61, 0.58, 0.7, 0.55],
        "control": [2.29, 2.31, 2.3, 2.305],
        "treated_name": "he",
        "control_name": "randn",
        "margin": 0.234,
        "margin_unit": "decades",
        "p_value": None,
        "drift": {"treated": drift(), "control": drift(r=0.8)},
    }
    return Comparison(**known | more)


def result(
    claim: str, *probes: Comparison, device: str = "cpu", parameters: str = "", **more: Any
) -> ClaimResult:
    """A result whose verdict is that of its worst probe."""
    known: Any = {
        "claim": claim,
        "id": f"{claim}[{'-'.join(filter(None, [parameters, device]))}]",
        "node": f"benchmarks/test_examples.py::test_{claim}",
        "device": device,
        "kind": "measured",
        "source": "notebook 001; CLAIMS b1",
        "statement": "A He start ends with a lower loss than a standard normal one.",
        "verdict": worst(probe.verdict for probe in probes),
        "seconds": 1.24,
        "message": "",
        "probes": list(probes),
    }
    return ClaimResult(**known | more)


def passing() -> ClaimResult:
    return result(
        "he_beats_randn", probe(), probe(probe="test_accuracy", case="celu", unit="share")
    )


def refuted() -> ClaimResult:
    return result(
        "he_learns_on_cuda",
        probe(
            "refuted",
            treated=[2.01, 2.3, 1.1, 2.2],
            stage=2,
            margin=-0.28,
            reason="3 of 4 treated seeds (seeds 11, 12, 14) are outside the limit",
            drift={"treated": drift("left", r=531.0), "control": drift()},
        ),
        device="cuda",
    )


def refuted_gain() -> ClaimResult:
    reason = "a gain of 0.02 is excluded: 1 of 4 seeds gain more than 0.02 (p = 0.93)"
    return result("hadamard_beats_identity", gain("refuted", p_value=0.93, reason=reason))


def gain(verdict: Any, **more: Any) -> Comparison:
    """A paired gain in test accuracy: the treated arm is above on two of four seeds, once equal."""
    known: Any = {
        "probe": "test_accuracy",
        "unit": "share",
        "form": "gains",
        "limit": {"margin": 0.02},
        "treated": [0.81, 0.8, 0.85, 0.8],
        "control": [0.8, 0.8, 0.8, 0.83],
        "treated_name": "hadamard",
        "control_name": "identity",
        "margin": None,
        "margin_unit": None,
        "p_value": 0.31,
    }
    return probe(verdict, **(known | more))


def drifted() -> ClaimResult:
    left = drift("left", r=531.0, first_step=16, first_layer="fc2", mean=0.8, moved=True)
    return result(
        "zeroed_layer_still_learns",
        probe(
            "drifted",
            stage=2,
            reason=left.reason("the treated arm"),
            drift={"treated": left, "control": drift(r=0.9)},
        ),
        source="notebook 003; CLAIMS c2",
    )


def inconclusive() -> ClaimResult:
    reason = "a gain of 0.02 is neither shown nor excluded: 2 of 4 seeds gain more (p = 0.31)"
    source = "arXiv 2110.12661 table 2"
    return result("hadamard_beats_random", gain("inconclusive", reason=reason), source=source)


def invalid() -> ClaimResult:
    nan, inf = float("nan"), float("inf")
    reason = "2 of 4 treated seeds (seeds 12, 14) are not finite"
    return result(
        "deep_relu_network_trains",
        probe("invalid", treated=[0.5, nan, 0.6, inf], margin=nan, reason=reason),
        source="notebook 003; CLAIMS c4",
    )


def example(*results: ClaimResult) -> Run:
    """A run with one claim of each verdict, or with the given results."""
    everything = [passing(), refuted(), refuted_gain(), drifted(), inconclusive(), invalid()]
    return Run(environment=ENVIRONMENT, settings=SETTINGS, results=[*results] or everything)
