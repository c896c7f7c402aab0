"""``initcheck explain CLAIM``: what it says, how it is tested, and how well it is watched."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import LimitEntry, nearest
from initcheck.claims import Claim, CollectionError
from initcheck.cli import project
from initcheck.cli.claims import COLUMNS, comparisons, regime_of
from initcheck.cli.declared import UndeclaredError
from initcheck.cli.project import Found
from initcheck.cli.sources import ids, read_sources
from initcheck.faults import FAULTS, bound, hypotheses
from initcheck.gate.comparison import SIDES
from initcheck.gate.detects import outcome, sensitivity
from initcheck.gate.regime import judged
from initcheck.plugin.check_baselines import refuse_unknown_faults

LABEL = 14  # columns of the labels on the left
KINDS = {  # in words
    "exact": "true in real arithmetic",
    "theorem": "the limit is computed",
    "measured": "the limit is placed between the two arms",
}


class UnknownClaimError(LookupError):
    """There is no such claim; the text names similar ones."""


def find(name: str, claims: Sequence[Claim]) -> list[Claim]:
    """The claims of that name, one for each set of parameters.

    Raises:
        UnknownClaimError: there is none.
    """
    wanted = name.removeprefix("test_")
    matches = [claim for claim in claims if wanted in (claim.claim, claim.name)]
    if matches:
        return matches
    near = get_close_matches(wanted, sorted({claim.name for claim in claims}), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "`initcheck claims` lists all claims."
    raise UnknownClaimError(f"There is no claim {wanted!r}. {hint}")


def searched(name: str, paths: Sequence[str]) -> Found:
    """The claims of that name in these paths; without paths in this project, then in initcheck.

    Raises:
        CollectionError: see ``project.find``.
        UnknownClaimError: there is none.
    """
    found = project.find(paths)
    try:
        return replace(found, claims=find(name, found.claims))
    except UnknownClaimError:
        if not paths and found.ours:
            with suppress(UnknownClaimError, CollectionError):
                others = project.packaged()
                return replace(others, claims=find(name, others.claims))
        raise


def folder_of(claim: Claim) -> Path:
    """The baselines of a claim: the nearest folder ``baselines`` next to its file or further up."""
    start = Path(claim.file).resolve().parent
    return nearest(start) or start.parent / "baselines"


def explain(claims: Sequence[Claim], baselines: Baselines, *, parameters: bool = False) -> str:
    """All there is to say about one claim, in 80 columns; only commands may be longer.

    The commands name the claim's parameters if ``parameters``.

    Raises:
        BaselineError: limits or evidence cannot be used.
    """
    refuse_unknown_faults(baselines)
    parts = [*_parts(claims, baselines), _commands(claims[0], baselines, parameters=parameters)]
    return "\n".join(line for part in parts for line in part)


def _parts(claims: Sequence[Claim], baselines: Baselines) -> Iterator[Iterator[str]]:
    first = claims[0]
    yield _labelled("claim", first.name)
    yield _labelled("statement", first.statement)
    if first.details:
        yield _labelled("details", first.details)
    yield _labelled("kind", f"{first.kind}: {KINDS.get(first.kind, 'unknown')}")
    yield _labelled("regime", regime_of(*claims))
    yield _judging(claims, baselines.limits.get(first.name, {}))
    yield _faults(first.name, baselines)
    yield _sources(first)
    yield _labelled("written in", f"{first.file}, line {first.line}")
    if len(claims) > 1:
        yield _labelled("runs as", ", ".join(claim.claim for claim in claims))
    for claim in claims:
        yield _evidence(claim, baselines)
    yield _rates(baselines)


def _labelled(label: str, text: str) -> Iterator[str]:
    lines = textwrap.wrap(text, COLUMNS - LABEL, break_on_hyphens=False) or [""]
    yield f"{label:<{LABEL}}{lines[0]}".rstrip()
    yield from (" " * LABEL + line for line in lines[1:])


def _judging(claims: Sequence[Claim], limits: Mapping[str, LimitEntry]) -> Iterator[str]:
    """How each comparison is judged, then why its limit is where it is."""
    lines: dict[str, dict[str, None]] = {probe: {} for probe in limits}
    try:
        for pair in comparisons(claims):
            limit = limits.get(pair.name)
            usable = limit is not None and limit.serves(pair.form)
            text = judged(pair, limit) if limit and usable else f"{pair.key}: no limit to judge by"
            lines.setdefault(pair.name, {})[text] = None
    except UndeclaredError:
        pass  # the line on the regime says so; the limits alone are known
    for probe, texts in lines.items():
        limit = limits.get(probe)
        for text in texts or ([_interval(limit)] if limit else []):
            yield from _labelled("judged", text)
        if limit is not None:
            yield from _labelled("why there", limit.why)


def _interval(limit: LimitEntry) -> str:
    parts = []
    if limit.serves("holds"):
        ends = limit.shown("holds")
        parts += [f"{end} {value:g}" for end, value in ends.items() if value is not None]
    if limit.margin is not None:
        parts.append(f"gain above {limit.margin:g}")
    return f"{limit.probe}: {', '.join(parts)} {limit.unit} ({limit.kind})"


def _faults(name: str, baselines: Baselines) -> Iterator[str]:
    """The faults that the limits name, those that break a hypothesis, then the other bound ones."""
    faults = [fault for fault, claims in bound(baselines.limits).items() if name in claims]
    named = {limit.fault for limit in baselines.limits.get(name, {}).values()}
    for fault in faults:
        if fault in named:
            yield from _labelled("must catch", f"{fault}: {FAULTS[fault].breaks}")
    for each in hypotheses.of(name):
        yield from _labelled("broken by", f"{each.fault} (hypothesis: {each.assumed})")
        named.add(each.fault)
    others = [fault for fault in faults if fault not in named]
    if others:
        yield from _labelled("and", ", ".join(others))
    if not faults:
        yield from _labelled("must catch", "no fault yet")


def _sources(claim: Claim) -> Iterator[str]:
    """The claim's source, and what each id in it stands for."""
    yield from _labelled("source", claim.source)
    sources = read_sources(Path(claim.file).resolve().parent)
    for name in ids(claim.source, sources):
        yield from _labelled("", f"{name}: {sources[name].text}")


def _evidence(claim: Claim, baselines: Baselines) -> Iterator[str]:
    evidence = baselines.evidence(claim.claim)
    limits = baselines.limits.get(claim.name, {})
    if evidence is None:
        yield from _labelled("evidence", "none is recorded")
        return
    for entry in evidence["environments"]:
        env = entry["environment"]
        yield from _labelled(
            "evidence",
            f"{entry['date']}, torch {env['torch']}, {env['device type']} ({env['device']}), "
            f"commit {entry['commit'] or 'unknown'}: {entry['reason']}",
        )
        for probe, comparison in sorted(entry["comparisons"].items()):
            limit = limits.get(probe.partition(" (")[0])
            unit = limit.unit if limit else ""
            for side in SIDES:
                shift = sensitivity(side, comparison, unit, claim.seeds, baselines.registered)
                yield from _labelled("", f"{outcome(probe, side, comparison)}; {shift}")


def _rates(baselines: Baselines) -> Iterator[str]:
    yield from _labelled(*baselines.contract().split(": ", 1))


def _commands(claim: Claim, baselines: Baselines, *, parameters: bool) -> Iterator[str]:
    """Commands to copy, each on one line, however long."""
    test = claim.node or f"{claim.file}::test_{claim.name}"
    if parameters and claim.item is not None:
        test += "".join(claim.item.name.partition("[")[1:])  # with the device it was listed for
    command = ["pytest", test]
    if baselines.folder.resolve() != folder_of(claim).resolve():
        command += ["--initcheck-baselines", str(baselines.folder)]
    if claim.scale != "brief":  # the claim is skipped at brief scale
        command += ["--initcheck-scale", claim.scale]
    run = shlex.join(command)
    yield f"{'run it':<{LABEL}}{run}"
    limits = baselines.limits.get(claim.name, {})
    faults = [limit.fault for limit in limits.values()]
    faults += [each.fault for each in hypotheses.of(claim.name)]
    for fault in dict.fromkeys(faults):
        yield f"{'see it fail':<{LABEL}}{run} --initcheck-fault {fault}"
    yield f'{"record it":<{LABEL}}{run} --initcheck-record "why"'
