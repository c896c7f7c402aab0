"""One page about one or more runs, for people who open a browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from initcheck.files.templates import html_template
from initcheck.report import (
    about,
    causes,
    colours,
    figures,
    followed,
    formatting,
    highlights,
    omitted,
    overview,
    terminal,
    words,
)
from initcheck.report.entries import Entry, reproduce, shown
from initcheck.results import ORDER, Run, Settings, worst

if TYPE_CHECKING:
    from markupsafe import Markup

SHOWN_FIRST = 6  # claims that are not green; the others are one click away
OPEN = 3  # claims that are not green, of which all is shown without a click
WHOLE = re.compile(r"(-?[\d.e-]+\.\.-?[\d.e-]*\d|-?\d[\d.]*e-\d+)")
ENVIRONMENT = (*about.VERSIONS, "platform", "threads")


def page(run: Run, *more_runs: Run) -> str:
    """A page that needs no other file and no network: the same runs give the same bytes."""
    runs = [run, *more_runs]
    names = [f"run {number}" for number in range(1, len(runs) + 1)] if more_runs else []
    entries = [
        Entry(name, result, run.settings)
        for name, run in zip(names or [""], runs, strict=True)
        for result in run.results
    ]
    results = [entry.result for entry in entries]
    faulty = any(run.settings.fault for run in runs)
    labels = overview.labels(runs, names)
    claims = _claims(entries)
    red = _red(claims)
    for claim in red[:OPEN]:
        claim["open"] = True
    anchors = {claim["name"]: claim["anchor"] for claim in claims}
    return html_template("report", "page.html.j2", whole=whole).render(
        notes=_notes(runs, names),
        unfinished=any(run.unfinished for run in runs),
        verdict=worst(result.verdict for result in results),
        headline=overview.headline(runs),
        captions=overview.captions(runs, names),
        counts=terminal.counts(results),
        verdicts=overview.verdicts(results),
        causes=_causes(runs, labels),
        narrow=overview.narrow(entries, anchors),
        advice=[*highlights.advice(results)],
        envelopes=followed.envelopes(results),
        matrix=overview.matrix(runs, names, anchors),
        figures=figures.figures(runs, labels),
        lacking=omitted.sentences(runs, labels),
        words=[(words.anchor(word), word, text) for word, text in words.WORDS.items()],
        colours=colours,
        surroundings=_surroundings(runs),
        run_names=names,
        red=_variants(red),
        meanings=overview.meanings((claim["verdict"] for claim in claims), faulty=faulty),
        faulty=faulty,
        shown_first=SHOWN_FIRST,
        groups=_groups(claims),
    )


def whole(text: str) -> Markup:
    """The text, escaped, whose ranges and powers of ten are not broken over lines."""
    from markupsafe import Markup, escape  # comes with jinja2, for pages only

    return Markup(WHOLE.sub(r"<span class=w>\1</span>", str(escape(text))))  # noqa: S704


def _notes(runs: Sequence[Run], names: Sequence[str]) -> list[tuple[str, bool]]:
    """What limits each run, in sentences; and whether a note only says that a fault was caught."""
    rows = []
    for name, run in zip(names or [""], runs, strict=True):
        for note in about.notes(run):
            is_seeded = bool(run.settings.fault) and note == about.seeded(run.settings)
            fate, caught = causes.fate(run) if is_seeded else ("", False)
            text = formatting.sentence(f"{name}: {note}" if name else note)
            meant = "It tests the claims, not this machine." if is_seeded else ""
            rows.append((" ".join(filter(None, [text, meant, fate])), caught))
    return rows


def _causes(runs: Sequence[Run], labels: Sequence[str]) -> list[tuple[str, str]]:
    """For each run its label, and what its arms that are not as recorded have in common."""
    return [
        (label, text)
        for label, run in zip(labels or [""], runs, strict=True)
        for text in causes.common(run.results)
    ]


def _claims(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What is shown of each claim and set of parameters, on all devices and in all runs."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.result.name, []).append(entry)
    return [
        _claim(f"claim-{n}", of_name, len(entries))
        for n, of_name in enumerate(by_name.values(), start=1)
    ]


def _red(claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The claims that are not green, the gravest first."""
    red = [claim for claim in claims if claim["verdict"] != "pass"]
    return sorted(red, key=lambda claim: ORDER.index(claim["verdict"]), reverse=True)


def _variants(red: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry per claim and verdict; those of its other parameters are listed with the first."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for claim in red:
        shown = first.setdefault((claim["claim"], claim["verdict"]), claim | {"variants": []})
        if shown["anchor"] != claim["anchor"]:
            parameters = claim["name"].removeprefix(claim["claim"]).strip("[]")
            shown["variants"].append((claim["anchor"], parameters))
    return [*first.values()]


def _claim(anchor: str, entries: Sequence[Entry], on_page: int) -> dict[str, Any]:
    first = entries[0].result
    verdict = worst(entry.result.verdict for entry in entries)
    worst_one = next(entry for entry in entries if entry.result.verdict == verdict)
    measured, why = overview.why(worst_one.result)
    return {
        "anchor": anchor,
        "name": first.name,
        "claim": first.claim,
        "open": False,
        "kind": first.kind,
        "source": first.source,
        "statement": first.statement,
        "verdict": verdict,
        "measured": measured,
        "why": why,
        "where": worst_one.where
        + "".join(
            f", also {entry.result.verdict} on {entry.where}"
            for entry in entries
            if entry is not worst_one and entry.result.verdict != "pass"
        ),
        "reproduce": reproduce(worst_one),
        "devices": ", ".join(dict.fromkeys(entry.result.device for entry in entries)),
        "entries": shown(entries, on_page=on_page),
    }


def _surroundings(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """Rows of the table about the environment: a name, then one text per run."""
    environments = [run.environment for run in runs]
    rows = [(name, [str(getattr(one, name) or "") for one in environments]) for name in ENVIRONMENT]
    rows.append(("matrix products", [one.matmul_precision for one in environments]))
    rows.append(("devices", [", ".join(map(about.device, e.devices)) for e in environments]))
    rows.append(("settings", [_settings(run.settings) for run in runs]))
    rows.append(("contract", [run.settings.contract or "" for run in runs]))
    return [(name, [text or "-" for text in texts]) for name, texts in rows if any(texts)]


def _settings(settings: Settings) -> str:
    """The options that are set; the contract has its own row."""
    values = asdict(settings).items()
    given = {name: value for name, value in values if value and name != "contract"}
    return ", ".join(f"{name.replace('_', ' ')} {_listed(value)}" for name, value in given.items())


def _listed(value: object) -> str:
    if value is True:
        return "yes"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _groups(claims: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Claims by the notebook or paper that their source begins with."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for claim in claims:
        groups.setdefault(claim["source"].split(";")[0].strip() or "no source", []).append(claim)
    return sorted(groups.items())
