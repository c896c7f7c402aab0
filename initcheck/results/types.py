"""Verdicts in their one order, and the results of claims as typed values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

SIDES = ("treated", "control")
#: The sides that can have an arm; a reference has no values.
ARMS = (*SIDES, "reference")

#: Training is unchanged while an arm is at most this many rounding envelopes from its record.
ENVELOPE_LIMIT = 10
#: A gain is shown by a p-value of at most this.
GAIN_P = 0.005

Verdict = Literal["pass", "inconclusive", "drifted", "refuted", "invalid"]
#: From best to worst. Only the first is green.
ORDER: tuple[Verdict, ...] = ("pass", "inconclusive", "drifted", "refuted", "invalid")

Kind = Literal["exact", "theorem", "measured"]
Form = Literal["holds", "gains", "rate"]
DriftVerdict = Literal[
    "unchanged", "other start", "changed start", "alike", "moved", "left", "no evidence", "stale"
]
LACKING: tuple[DriftVerdict, ...] = ("no evidence", "stale")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts of all parts; ``invalid`` if there are none."""
    return max(verdicts, key=ORDER.index, default="invalid")


def confirmed(first: Verdict, fresh: Verdict) -> Verdict:
    """The milder verdict of the two stages: a claim is red only if it fails on both."""
    return min(first, fresh, key=ORDER.index)


def _three_digits(r: float | None) -> str:
    return "no number" if r is None else f"{float(f'{r:.3g}'):g}"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One arm compared with its evidence. What was not compared is None.

    Attributes:
        environment: where, with which torch and when the arm was recorded.
        r: distance to the recorded trajectory, in rounding envelopes: the larger of the losses'
            and the tensors' ways'.
        loss_r: the same of the losses alone.
        first_step: the first step at which the arm is outside its envelope.
        tensor: the tensor that is farthest outside at that step, if one is.
        tensor_r: its distance at that step, in envelopes.
        first_layer: the first layer that differs at step 0, if one does.
        note: why there is no ``r``, or what it leaves out.
        moved: whether the outcomes have another distribution than the recorded ones.
        transform: the scale of the numbers below: ``log``, ``logit``, ``identity`` or ``ranks``.
        mean: of the outcomes now.
        recorded_n: how many seeds were recorded.
        allowed: how far ``mean`` may be from ``recorded_mean``, whatever the ranks say.
        detectable_shift: the shift of the mean that is detected in 95 % of runs.
    """

    verdict: DriftVerdict

    environment: str | None = None
    r: float | None = None
    loss_r: float | None = None
    first_step: int | None = None
    tensor: str | None = None
    tensor_r: float | None = None
    first_layer: str | None = None
    note: str | None = None

    moved: bool | None = None
    transform: str | None = None
    mean: float | None = None
    recorded_mean: float | None = None
    recorded_std: float | None = None
    recorded_n: int | None = None
    allowed: float | None = None
    detectable_shift: float | None = None

    @property
    def shift(self) -> float | None:
        """How far the mean has moved, in recorded standard deviations; None if not known."""
        if self.mean is None or self.recorded_mean is None or not self.recorded_std:
            return None
        return float((self.mean - self.recorded_mean) / self.recorded_std)

    def reason(self, arm: str) -> str:
        """Why ``arm`` (``the treated arm``) is not as recorded, with numbers; empty if it is."""
        where = f", first in {self.first_layer}" if self.first_layer else ""
        start = f"starts from other values{where}" if where else "sees other images first"
        r = _three_digits(self.r)
        tensor = (
            f" in {self.tensor} by {_three_digits(self.tensor_r)} envelopes" if self.tensor else ""
        )
        known = self.tensor and self.loss_r is not None  # one step alone has no later loss to judge
        alone = f", of its losses alone {_three_digits(self.loss_r)}" if known else ""
        reasons: dict[DriftVerdict, str] = {
            "left": f"{arm} left its rounding envelope at step {self.first_step}{tensor}{where} "
            f"(r = {r}{alone}, {ENVELOPE_LIMIT} allowed)",
            "moved": f"{arm} no longer has its recorded distribution",
            "alike": f"all seeds of {arm} are identical, and they differed when recorded",
            "changed start": f"{arm} {start}, although the torch release is the recorded one",
            "other start": f"{arm} {start}",
        }
        return f"{reasons[self.verdict]}; {self._outcomes()}" if self.verdict in reasons else ""

    def _outcomes(self) -> str:
        if self.shift is None:
            return "outcomes not compared"
        moved = f"{round(self.shift, 1) + 0:+.1f} standard deviations"  # no -0.0
        return f"outcomes moved by {moved}" if self.moved else f"outcomes unmoved ({moved})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One judged comparison: a probe on a treated and a control arm, and its limit.

    Attributes:
        probe: the probe's name.
        case: distinguishes several comparisons of one probe in a claim.
        limit: ``min`` and ``max``, or the ``margin`` of a gain; empty if there is none.
        reason: why it is not green, in words and with the numbers.
        stage: 1 if the first seeds decided, 2 if fresh seeds confirmed.
        treated: one value per seed, as ``control``.
        margin: the smallest distance of any seed to the limit, in ``margin_unit``.
        p_value: of a gain.
        reference_name: the arm from which the values are differences; empty if there is none.
        drift: each arm that was compared with its evidence, by side.
    """

    probe: str
    form: Form
    kind: Kind
    unit: str
    case: str = ""
    why: str = ""
    fault: str = ""
    limit: dict[str, float | None] = field(default_factory=dict)
    verdict: Verdict = "invalid"
    reason: str = ""
    stage: int = 1
    seeds: list[int] = field(default_factory=list)
    treated: list[float] = field(default_factory=list)
    control: list[float] = field(default_factory=list)
    treated_name: str = ""
    control_name: str = ""
    reference_name: str = ""
    margin: float | None = None
    margin_unit: str | None = "units"
    p_value: float | None = None
    drift: dict[str, Drift] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The probe's name, with the case in parentheses if there is one."""
        return f"{self.probe} ({self.case})" if self.case else self.probe

    def values(self, side: str) -> list[float]:
        """The values of the ``treated`` or the ``control`` arm, one per seed."""
        return self.treated if side == "treated" else self.control

    def name(self, side: str) -> str:
        """What reports call the arm of a side, such as ``he``; empty if it has no name."""
        return self.treated_name if side == "treated" else self.control_name

    def inside(self, value: float) -> bool:
        """Whether a value is between ``min`` and ``max``; what is not finite never is."""
        low, high = self.limit.get("min"), self.limit.get("max")
        above = low is None or value >= low
        return math.isfinite(value) and above and (high is None or value <= high)


@dataclass(frozen=True, kw_only=True)
class ClaimResult:
    """The result of one claim on one device, with one set of parameters.

    Attributes:
        id: the claim with its parameters and device, as pytest shows it without ``test_``.
        node: the test, as pytest is requested to run it.
        statement: the claim in words.
        seconds: how long it took.
        probes: its comparisons, in the order in which the claim makes them.
        message: the failure message; empty if the claim passed.
        known: the reason for which it is known to fail here; empty if it is not.
    """

    claim: str
    id: str
    node: str
    device: str
    kind: Kind
    source: str
    statement: str
    verdict: Verdict
    seconds: float
    probes: list[Comparison]
    message: str = ""
    known: str = ""

    @property
    def name(self) -> str:
        """The claim with its parameters but without its device, such as ``he_learns[relu]``.

        It is equal for all devices and runs of one experiment, and names its file of evidence.
        """
        stem = self.id.removesuffix(f"{self.device}]")
        return f"{stem[:-1]}]" if stem.endswith("-") else stem.removesuffix("[")

    @property
    def mechanism(self) -> str:
        """The group of claims to which this one belongs: those in the same file of tests.

        It is the file's name in words: ``residual rank`` for ``test_residual_rank.py``.
        """
        file = PurePath(self.node.partition("::")[0])
        return file.stem.removeprefix("test_").replace("_", " ")

    @property
    def fails(self) -> bool:
        """Whether it makes a run red: a known failure does not, unless it passes."""
        return (self.verdict == "pass") == bool(self.known)

    @property
    def red(self) -> list[Comparison]:
        """The comparisons that are not green."""
        return [probe for probe in self.probes if probe.verdict != "pass"]
