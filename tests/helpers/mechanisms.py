"""The entries of claims in docs/mechanisms/: what a claim says, and what was recorded for it.

``python -m tests.helpers.mechanisms`` writes the entries of all pages again, from the evidence.
"""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from initcheck.report import formatting
from initcheck.results import Comparison

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "mechanisms").glob("*.md"))
ENTRY = re.compile(
    r"^- \*\*.*\*\* `(\w+)`\.\n  Probe `(\w+)`(?: \(([^)]*)\))?: .*$", flags=re.MULTILINE
)


@cache
def statements() -> dict[str, str]:
    """What each claim says, from the page of claims, which a test compares with the claims."""
    text = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    return {
        name: said
        for said, name in re.findall(r"^- \*\*(.*?)\*\* `(\w+)`, ", text, flags=re.MULTILINE)
    }


@cache
def limits() -> dict[str, Any]:
    return tomllib.loads((ROOT / "baselines" / "limits.toml").read_text(encoding="utf-8"))


@cache
def recorded(claim: str) -> tuple[dict[str, Any], ...]:
    """The comparisons that were recorded on a CPU, one entry per set of parameters."""
    folder = ROOT / "baselines" / "evidence"
    files = [folder / f"{claim}.json", *sorted(folder.glob(f"{claim}[[]*.json"))]
    entries = [
        entry for file in files if file.exists()
        for entry in json.loads(file.read_text(encoding="utf-8"))["environments"]
        if entry["environment"]["device type"] == "cpu"
    ]  # fmt: skip
    return tuple(entry["comparisons"] for entry in entries)


def entry(claim: str, probe: str, case: str = "") -> str:
    """What a claim says; a probe, both arms' range over all seeds, and the limit."""
    title = f"{probe} ({case})" if case else probe
    every = [comparisons[title] for comparisons in recorded(claim)]
    limit = limits()[claim][probe]
    form = every[0]["form"]
    keys, sides = ("min", "max"), ("treated", "control")
    if form == "gains":
        keys, sides = ("margin",), ("better", "worse")
    whole = Comparison(
        probe=probe, form=form, kind=limit["kind"], unit=limit["unit"],
        limit={key: limit.get(key) for key in keys},
        treated=[value for one in every for value in one["treated"]],
        control=[value for one in every for value in one["control"]],
    )  # fmt: skip
    arms = [formatting.span(whole.values(side)) for side in ("treated", "control")]
    return (
        f"- **{statements()[claim]}** `{claim}`.\n"
        f"  Probe `{probe}`{f' ({case})' * bool(case)}: {sides[0]} {arms[0]}, "
        f"{sides[1]} {arms[1]}, limit {formatting.limit(whole)} {limit['unit']}."
    )


def written_again(text: str) -> str:
    """The page with all entries as the evidence has them now."""
    return ENTRY.sub(lambda found: entry(found[1], found[2], found[3] or ""), text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(written_again(page.read_text(encoding="utf-8")), encoding="utf-8")
