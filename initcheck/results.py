"""Verdicts in their one order, the results of a run as typed values, and the JSON file of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePath
from typing import Any, Literal, NoReturn, TypeVar

from initcheck.files import write_atomic

SCHEMA = 1
SIDES = ("treated", "control")

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


class ResultsError(ValueError):
    """A results file cannot be used. The message is a sentence that says where and why."""


# --- types ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One arm compared with its evidence. What was not compared is None.

    Attributes:
        environment: where, with which torch and when the arm was recorded.
        r: distance to the recorded trajectory, in rounding envelopes.
        first_step: the first step at which the arm is outside its envelope.
        first_layer: the first layer that differs at step 0, if one does.
        note: why there is no ``r``.
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
    first_step: int | None = None
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
        r = "no number" if self.r is None else f"{float(f'{self.r:.3g}'):g}"
        reasons: dict[DriftVerdict, str] = {
            "left": f"{arm} left its rounding envelope at step {self.first_step}{where} "
            f"(r = {r}, {ENVELOPE_LIMIT} allowed)",
            "moved": f"{arm} no longer has its recorded distribution",
            "alike": f"all seeds of {arm} are identical, and they differed when recorded",
            "changed start": f"{arm} {start}, with the torch release that recorded it",
            "other start": f"{arm} {start}",
        }
        return f"{reasons[self.verdict]}; {self._outcomes()}" if self.verdict in reasons else ""

    def _outcomes(self) -> str:
        if self.shift is None:
            return "outcomes not compared"
        moved = f"{self.shift:+.1f} s"
        return f"outcomes moved by {moved}" if self.moved else f"outcomes unmoved ({moved})"


#: The fields of a Drift that come from comparing outcomes, and are written together or not at all.
_OUTCOMES = tuple(
    each.name for each in fields(Drift)
    if each.name not in ("verdict", "environment", "r", "first_step", "first_layer", "note")
)  # fmt: skip


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
        """The name of the ``treated`` or the ``control`` arm."""
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

    @property
    def name(self) -> str:
        """The claim with its parameters and without its device, as its evidence is filed."""
        stem = self.id.removesuffix(f"{self.device}]")
        return f"{stem[:-1]}]" if stem.endswith("-") else stem.removesuffix("[")

    @property
    def mechanism(self) -> str:
        """What the claim's file is about: ``residual rank`` of ``test_residual_rank.py``."""
        file = PurePath(self.node.partition("::")[0])
        return file.stem.removeprefix("test_").replace("_", " ")

    @property
    def red(self) -> list[Comparison]:
        """The comparisons that are not green."""
        return [probe for probe in self.probes if probe.verdict != "pass"]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Versions, machine and devices of a run; ``devices`` as ``devices.describe`` gives them."""

    torch: str
    python: str
    devices: list[Mapping[str, Any]]
    torchvision: str = ""
    numpy: str = ""
    scipy: str = ""
    platform: str = ""
    matmul_precision: str = ""
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a run.

    Attributes:
        baselines: the folder in use; ``baselines_given`` is the one that was requested, if any.
        contract: how often the gate is wrong, in words; None if no claim was collected.
    """

    device: list[str] = field(default_factory=list)
    seeds: int | None = None
    scale: str = "brief"
    engine: str = "ensemble"
    data_root: str | None = None
    download: bool = False
    baselines: str | None = None
    baselines_given: str | None = None
    record: str | None = None
    accept_drift: str | None = None
    require_evidence: bool = False
    init: list[str] = field(default_factory=list)
    activation: str = "relu"
    json: str | None = None
    html: str | None = None
    profile: bool = False
    judge: str = "all"
    salt: str = ""
    fault: str | None = None
    contract: str | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A whole run: where, how, and the result of every claim."""

    environment: Environment
    settings: Settings
    results: list[ClaimResult]
    schema: int = SCHEMA


# --- plain data -----------------------------------------------------------------------------------

# JSON has no NaN. What is not finite is written as one of these strings, and read back in the
# fields that hold numbers, so that a message that happens to read "NaN" stays a message.
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NUMBERS = {
    "seconds", "treated", "control", "min", "max", "margin", "p_value", "r", "mean",
    "recorded_mean", "recorded_std", "allowed", "detectable_shift",
}  # fmt: skip
_KEYS = {"matmul_precision": "matmul precision"}  # fields whose key is no Python name

T = TypeVar("T")


def to_plain(value: object) -> Any:
    """A typed value as JSON has it: dicts, lists and strings for what is not finite."""
    if isinstance(value, Drift):
        return {key: to_plain(getattr(value, key)) for key in _written(value)}
    if is_dataclass(value):
        names = [each.name for each in fields(value)]
        return {_KEYS.get(name, name): to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if hasattr(value, "item"):  # a NumPy scalar, which json cannot write
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, known in NOT_FINITE.items() if str(known) == str(value))
    return value


def _written(drift: Drift) -> Iterable[str]:
    """The fields that are written: only the verdict if there was no evidence to compare with."""
    if drift.verdict in LACKING:
        return ("verdict",)
    compared = any(getattr(drift, name) is not None for name in _OUTCOMES)
    names = (each.name for each in fields(drift))
    return [name for name in names if compared or name not in _OUTCOMES]


def from_plain(plain: Mapping[str, Any]) -> ClaimResult:
    """The result of a claim that ``to_plain`` gave."""
    return _claim_result(_decoded(plain))


def _run(plain: Mapping[str, Any]) -> Run:
    whole = _decoded(plain)
    return Run(
        schema=whole["schema"],
        environment=_known(Environment, whole["environment"]),
        settings=_known(Settings, whole["settings"]),
        results=[_claim_result(result) for result in whole["results"]],
    )


def _known(kind: type[T], plain: Mapping[str, Any]) -> T:
    """A value of a class from the keys that it knows: environment and settings may have others."""
    keys = {name: _KEYS.get(name, name) for name in (each.name for each in fields(kind))}  # type: ignore[arg-type]
    return kind(**{name: plain[key] for name, key in keys.items() if key in plain})


def _claim_result(plain: Mapping[str, Any]) -> ClaimResult:
    return ClaimResult(**{**plain, "probes": [_comparison(probe) for probe in plain["probes"]]})


def _comparison(plain: Mapping[str, Any]) -> Comparison:
    drifts = (plain.get("drift") or {}).items()
    typed = {
        "drift": {side: Drift(**drift) for side, drift in drifts if drift},
        "limit": plain["limit"] or {},
    }
    return Comparison(**{**plain, **typed})


def _decoded(value: Any, key: str = "") -> Any:
    """Plain data with its numbers that are not finite in place of their names."""
    if isinstance(value, Mapping):
        return {name: _decoded(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item, key) for item in value]
    return NOT_FINITE.get(value, value) if key in _NUMBERS and isinstance(value, str) else value


# --- the file -------------------------------------------------------------------------------------


def write(path: str | os.PathLike[str], run: Run) -> None:
    """Write a run in full precision; a reader sees the old file or the new one, never a part.

    Raises:
        ResultsError: the run does not fit the schema; then nothing is written.
    """
    plain = to_plain(run)
    _check(plain, "the results to be written")
    text = json.dumps(plain, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(Path(path), text + "\n")


def read(path: str | os.PathLike[str]) -> Run:
    """The run that ``write`` wrote, NaN and infinities included.

    Raises:
        ResultsError: the file is missing, is not JSON or does not fit the schema.
    """
    text = _text(Path(path))
    try:
        plain = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ResultsError(f"{path} is not JSON at {where}: {error.msg}.") from None
    except _BareConstantError as error:
        raise ResultsError(f'{path} is not JSON: it has a bare {error}, not "{error}".') from None
    _check(plain, str(path))
    return _run(plain)


class _BareConstantError(Exception):
    """A NaN or infinity without quotes, which Python's parser accepts and others reject."""


def _refuse_constant(constant: str) -> NoReturn:
    raise _BareConstantError(constant)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ResultsError(
            f"{path} does not exist; `pytest benchmarks --initcheck-json FILE` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ResultsError(f"{path} cannot be read: {reason}.") from None


@cache
def _validator() -> Any:
    import jsonschema  # type: ignore[import-untyped,unused-ignore]

    schema = json.loads(files(__package__).joinpath("results.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _check(plain: Any, name: str) -> None:
    """Raise ResultsError with the worst mismatch between plain data and the shipped schema."""
    version = plain.get("schema", SCHEMA) if isinstance(plain, dict) else SCHEMA
    if version != SCHEMA:
        raise ResultsError(
            f"{name} has schema {version!r}, and this initcheck reads schema {SCHEMA}; "
            "use the version of initcheck that wrote it."
        )
    from jsonschema import exceptions  # type: ignore[import-untyped,unused-ignore]

    if error := exceptions.best_match(_validator().iter_errors(plain)):
        what = error.message if len(error.message) < 300 else error.message[:297] + "..."
        raise ResultsError(f"{name} does not fit the schema at {error.json_path}: {what}.")
