"""One self-contained page about one or more runs, for people who open a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from initcheck.report import formatting, highlights, plots, reasons, terminal
from initcheck.report.formatting import Record
from initcheck.results import worst

if TYPE_CHECKING:
    import jinja2

ENVIRONMENT = ("torch", "torchvision", "numpy", "scipy", "python", "platform", "threads")


@dataclass(frozen=True)
class Entry:
    """One result with the run it is from."""

    run: str
    result: Record
    settings: Record


def page(results: Record, *more_results: Record) -> str:
    """A page that needs no other file and no network: the same results give the same bytes."""
    runs = [results, *more_results]
    entries = [
        Entry(f"run {number}" if more_results else "", result, run["settings"])
        for number, run in enumerate(runs, start=1)
        for result in run["results"]
    ]
    together = {"results": [entry.result for entry in entries]}
    claims = _claims(entries)
    return _template().render(
        verdict=worst(entry.result["verdict"] for entry in entries),
        counts=terminal.counts(together),
        extremes=[*highlights.margins(together), *highlights.envelope(together)],
        advice=[*highlights.advice(together)],
        envelopes=_envelopes(together),
        surroundings=_surroundings(runs),
        run_names=[f"run {number}" for number in range(1, len(runs) + 1)] if more_results else [],
        red=[claim for claim in claims if claim["verdict"] != "pass"],
        groups=_groups(claims),
    )


@cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("initcheck", "report/templates"),
        autoescape=True,  # not by the file's name: select_autoescape does not know .html.j2
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _claims(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What is shown of each claim, with all its devices and runs, in the order of appearance."""
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.result["claim"], []).append(entry)
    return [_claim(f"claim-{n}", found) for n, found in enumerate(by_name.values(), start=1)]


def _claim(anchor: str, entries: Sequence[Entry]) -> dict[str, Any]:
    first = entries[0].result
    return {
        "anchor": anchor,
        "name": first["claim"],
        "kind": first["kind"],
        "source": first["source"],
        "statement": first["statement"],
        "verdict": worst(entry.result["verdict"] for entry in entries),
        "devices": ", ".join(dict.fromkeys(entry.result["device"] for entry in entries)),
        "entries": [_entry(entry) for entry in entries],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    result = entry.result
    red = [probe["verdict"] != "pass" for probe in result["probes"]]
    return {
        "head": " · ".join(
            filter(None, [result["device"], entry.run, f"{result['seconds']:.1f} s"])
        ),
        "verdict": result["verdict"],
        "message": "" if any(red) or result["verdict"] == "pass" else result["message"],
        "probes": [_probe(probe) for probe in result["probes"]],
        "reproduce": formatting.command(formatting.reproduce(result, entry.settings))[0],
    }


def _probe(probe: Record) -> dict[str, Any]:
    green = probe["verdict"] == "pass"
    return {
        "title": formatting.title(probe),
        "verdict": probe["verdict"],
        "margin": _margin(probe),
        "strip": plots.of_probe(probe),
        "because": "" if green else " ".join(reasons.sentences(probe)),
        "why": probe.get("why") or "",
        "fault": probe.get("fault") or "",
        "drifts": [f"{arm} {_drift(drift)}" for arm, drift in reasons.drifts(probe)],
    }


def _margin(probe: Record) -> str:
    value = probe.get("margin")
    return (
        ""
        if value is None
        else f"margin {formatting.number(value)} {probe.get('margin_unit') or ''}"
    )


def _drift(drift: Record) -> str:
    """An arm against its evidence: the verdict, then the envelope ratio and the shift."""
    parts = [drift.get("verdict") or "not compared"]
    if drift.get("r") is not None:
        parts.append(f"r = {formatting.number(drift['r'])} of {formatting.ENVELOPE_LIMIT}")
    if (moved := formatting.moved(drift)) is not None:
        parts.append(f"mean {moved:+.1f} s from {drift.get('environment') or 'its recording'}")
    return ", ".join(parts)


def _envelopes(results: Record) -> plots.Strip | None:
    ratios = highlights.ratios(results)
    return plots.of_envelopes(ratios) if ratios else None


def _surroundings(runs: Sequence[Record]) -> list[tuple[str, list[str]]]:
    """Rows of the table about the environment: a name, then one text a run."""
    found = [run["environment"] for run in runs]
    rows = [(name, [str(one.get(name) or "-") for one in found]) for name in ENVIRONMENT]
    rows.append(("matrix products", [str(one.get("matmul precision") or "-") for one in found]))
    rows.append(("devices", [", ".join(map(_device, one["devices"])) for one in found]))
    rows.append(("settings", [_settings(run["settings"]) for run in runs]))
    return rows


def _device(device: Mapping[str, Any]) -> str:
    return f"{device['name']}: {device['hardware']}" if device.get("hardware") else device["name"]


def _settings(settings: Record) -> str:
    known = {name: value for name, value in settings.items() if value not in (None, "")}
    return ", ".join(f"{name} {value}" for name, value in known.items()) or "-"


def _groups(claims: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Claims by the notebook or paper that their source begins with."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for claim in claims:
        groups.setdefault(claim["source"].split(";")[0].strip() or "no source", []).append(claim)
    return sorted(groups.items())
