"""``initcheck explain CLAIM``: what it says, why its limits lie there, how well it is watched."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import LimitEntry, nearest
from initcheck.claims import Claim
from initcheck.faults import FAULTS, bound
from initcheck.gate.comparison import SIDES
from initcheck.stats import decisions, distributions

COLUMNS = 100
HEAD = 14  # columns of the words at the left


class UnknownClaimError(LookupError):
    """A claim that is not there; the text names near ones."""


def find(name: str, claims: Sequence[Claim]) -> list[Claim]:
    """The claims of that name, one for each of its parameters.

    Raises:
        UnknownClaimError: there is none.
    """
    wanted = name.removeprefix("test_")
    found = [c for c in claims if wanted in (c.claim, _base(c))]
    if found:
        return found
    near = get_close_matches(wanted, sorted({_base(c) for c in claims}), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`initcheck claims` lists all."
    raise UnknownClaimError(f"there is no claim {wanted!r}. {hint}")


def folder_of(claim: Claim) -> Path:
    """The baselines of a claim: the nearest beside its file or further up."""
    start = Path(claim.file).resolve().parent
    return nearest(start) or start.parent / "baselines"


def explain(claims: Sequence[Claim], baselines: Baselines) -> str:
    """All there is to say about one claim, in lines of at most 100 columns."""
    return "\n".join(line for part in _parts(claims, baselines) for line in part)


def _parts(claims: Sequence[Claim], baselines: Baselines) -> Iterator[Iterator[str]]:
    first, name = claims[0], _base(claims[0])
    limits = baselines.limits.get(name, {})
    yield _said("claim", name)
    yield _said("statement", first.statement)
    yield _said("kind", first.kind)
    yield _said("source", first.source)
    yield _said("written in", f"{first.file}, line {first.line}")
    if len(claims) > 1:
        yield _said("runs as", ", ".join(claim.claim for claim in claims))
    for limit in limits.values():
        yield _said("limit", _limit(limit))
        yield _said("why there", limit.why)
    yield _faults(name, baselines)
    for claim in claims:
        yield _evidence(claim, baselines)
    yield _rates(baselines.registered)
    yield _commands(first, baselines)


def _base(claim: Claim) -> str:
    return claim.claim.partition("[")[0]


def _said(head: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, COLUMNS - HEAD) or [""]
    yield f"{head:<{HEAD}}{lines[0]}".rstrip()
    yield from (" " * HEAD + line for line in lines[1:])


def _limit(limit: LimitEntry) -> str:
    parts = []
    if limit.serves("holds"):
        ends = limit.shown("holds")
        parts += [f"{end} {value:g}" for end, value in ends.items() if value is not None]
    if limit.margin is not None:
        parts.append(f"gain above {limit.margin:g}")
    return f"{limit.probe}: {', '.join(parts)} {limit.unit} ({limit.kind})"


def _faults(name: str, baselines: Baselines) -> Iterator[str]:
    """Each fault that this claim must notice, in words."""
    found = [fault for fault, claims in bound(baselines.limits).items() if name in claims]
    for fault in found:
        yield from _said("must notice", f"{fault}: {FAULTS[fault].breaks}")
    if not found:
        yield from _said("must notice", "no fault yet")


def _evidence(claim: Claim, baselines: Baselines) -> Iterator[str]:
    recorded = baselines.evidence(claim.claim)
    limits = baselines.limits.get(_base(claim), {})
    if recorded is None:
        yield from _said("evidence", "none was recorded")
        return
    for entry in recorded["environments"]:
        env = entry["environment"]
        yield from _said(
            "evidence",
            f"{entry['date']}, torch {env['torch']}, {env['device type']} ({env['device']}), "
            f"commit {entry['commit'] or 'unknown'}: {entry['reason']}",
        )
        for probe, comparison in sorted(entry["comparisons"].items()):
            limit = limits.get(probe.partition(" (")[0])
            unit = limit.unit if limit else ""
            for side in SIDES:
                yield from _said("", _outcome(probe, side, comparison, unit, baselines.registered))


def _outcome(
    probe: str, side: str, comparison: Mapping[str, Any], unit: str, registered: int
) -> str:
    """Mean and spread of one arm, and how far it may move unseen."""
    values = np.asarray(comparison[side], dtype=float)
    arm = comparison[f"{side}_arm"].split(" | ")[1]
    spread = f" +- {values.std(ddof=1):.2g}" if len(values) > 1 and decisions.varies(values) else ""
    said = f"{probe}, {side} {arm}: {values.mean():.4g}{spread} (N = {len(values)})"
    return f"{said}; {_sensitivity(side, comparison, unit, registered)}"


def _sensitivity(side: str, comparison: Mapping[str, Any], unit: str, registered: int) -> str:
    values, other = (comparison[s] for s in (side, *(s for s in SIDES if s != side)))
    if not decisions.varies(values):
        return "exact"
    if {*values, *other} <= {0.0, 1.0}:
        return "successes are counted"
    found = distributions.scale(values, other, unit)
    if found is None:
        return "too few seeds to compare outcomes"
    alpha1, now = decisions.per_stage(decisions.split(registered)), decisions.SEEDS["measured"]
    if found.name == distributions.RANKS:
        shift = distributions.detectable_by_trial(found, now, alpha1)
    else:
        shift = distributions.detectable(found, now, alpha1)
    if shift is None:
        return "compared by ranks, which see no shift of outcomes like these"
    size = shift / float(found.values.std(ddof=1))
    scale = "" if found.name in ("identity", distributions.RANKS) else f" of {found.name}"
    ranks = "by ranks, " * (found.name == distributions.RANKS)
    return f"{ranks}a shift of {shift:.2g}{scale} ({size:.1f} s) is seen in 95 % of runs"


def _rates(registered: int) -> Iterator[str]:
    alpha = decisions.split(registered)
    yield from _said(
        "false alarms",
        f"at most {alpha:.1e} of runs a comparison, {decisions.SUITE_FALSE_ALARMS:.0%} shared "
        f"among {registered}; two stages of {decisions.per_stage(alpha):.1e}",
    )


def _commands(claim: Claim, baselines: Baselines) -> Iterator[str]:
    """Commands to copy, each on a line of its own, however long."""
    words = ["pytest", claim.node or f"{claim.file}::test_{_base(claim)}"]
    if baselines.folder.resolve() != folder_of(claim).resolve():
        words += ["--initcheck-baselines", str(baselines.folder)]
    if claim.scale != "brief":  # at brief scale such a claim is skipped
        words += ["--initcheck-scale", claim.scale]
    run = shlex.join(words)
    yield f"{'run it':<{HEAD}}{run}"
    limits = baselines.limits.get(_base(claim), {})
    for fault in dict.fromkeys(limit.fault for limit in limits.values()):
        yield f"{'see it red':<{HEAD}}{run} --initcheck-fault {fault}"
    yield f'{"record it":<{HEAD}}{run} --initcheck-record "why"'
