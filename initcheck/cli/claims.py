"""``initcheck claims``: the list of claims as text, as JSON and as the page docs/claims.md."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from initcheck.claims import Claim
from initcheck.cli.declared import UndeclaredError, declared
from initcheck.cli.sources import UNCLAIMED, ids, linked, read_sources
from initcheck.gate.comparison import Pair
from initcheck.gate.regime import regime

COLUMNS = 80
HEAD = """\
# Claims

Written by `initcheck claims --markdown`; a test compares this page with the claims.

There is one line per claim: its statement, its name, its kind, its source, and its regime, which
is the experiment that tests it. The regime is generated from the claim's arms. A claim holds if the
treated arm is inside the limit and the control arm outside, on every seed, or if the better arm
exceeds the worse by more than the margin. `initcheck explain NAME` prints the limits, why they are
where they are, and the recorded evidence.

Kinds: `exact` is true in real arithmetic, the limit of a `theorem` is computed, and that of a
`measured` claim is placed between the two arms. "Full scale" marks claims that run only with
`--initcheck-scale full`."""


def as_text(claims: Sequence[Claim]) -> str:
    """One entry per claim in 80 columns: name and kind, and the statement below."""
    return "\n".join(line for claim in _by_name(claims) for line in _entry(*claim))


def as_json(claims: Sequence[Claim]) -> str:
    """A list with one object per claim and set of parameters, then one per unclaimed statement.

    An unclaimed statement is one that the project's ``docs/refuted.md`` lists. Its ``claim`` is
    null, and ``not_claimed`` says why no claim tests it.
    """
    folders = {file: Path(file).resolve().parent for file in {claim.file for claim in claims}}
    sources = {file: read_sources(folder) for file, folder in folders.items()}
    written: list[dict[str, object]] = [
        {
            "claim": claim.claim, "kind": claim.kind, "source": claim.source,
            "ids": ids(claim.source, sources[claim.file]), "statement": claim.statement,
            "details": claim.details, "regime": regime_of(claim), "file": claim.file,
            "line": claim.line, "node": claim.node, "scale": claim.scale,
        }
        for claim in claims
    ]  # fmt: skip
    unclaimed = {
        name: row
        for folder in folders.values()
        for name, row in read_sources(folder, UNCLAIMED).items()
    }
    written += [
        {"claim": None, "ids": [name], "statement": row.statement, "not_claimed": row.origin}
        for name, row in unclaimed.items()
    ]
    return json.dumps(written, indent=2)


def as_markdown(claims: Sequence[Claim]) -> str:
    """The page docs/claims.md: one section per file of claims, one line per claim."""
    files: dict[str, list[Claim]] = {}
    for claim in claims:
        files.setdefault(claim.file, []).append(claim)
    sections = ["\n".join(_section(file, group)) for file, group in files.items()]
    return "\n\n".join([HEAD, *sections])


def regime_of(*claims: Claim) -> str:
    """The experiment of a claim, with all these parameters; why it is unknown, if it is."""
    try:
        return regime(comparisons(claims))
    except UndeclaredError as error:
        return f"Known only when the claim runs: {error}."


def comparisons(claims: Iterable[Claim]) -> list[Pair]:
    """All comparisons that these claims declare; usually one claim with each of its parameters.

    Raises:
        UndeclaredError: they are known only when the claim runs.
    """
    return [pair for claim in claims if claim.item for pair in declared(claim.item)]


def _by_name(claims: Iterable[Claim]) -> list[list[Claim]]:
    """The claims of each name, which differ in their parameters only."""
    names: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        names.setdefault((claim.file, claim.name), []).append(claim)
    return list(names.values())


def _entry(first: Claim, *others: Claim) -> Iterator[str]:
    count = f", {1 + len(others)} sets of parameters" if others else ""
    scale = ", full scale" if first.scale == "full" else ""
    yield f"{first.name} ({first.kind}{count}{scale})"
    yield from textwrap.wrap(
        first.statement, COLUMNS, initial_indent="    ", subsequent_indent="    "
    )


def _section(file: str, claims: Sequence[Claim]) -> Iterator[str]:
    """A file of claims: its docstring's first sentence, and one line per claim."""
    title, sentence = map(_plain, _mechanism(claims[0]))
    yield from (f"## {title}", "", " ".join(filter(None, (sentence, f"`{file}`"))), "")
    sources = read_sources(Path(file).resolve().parent)
    for group in _by_name(claims):
        first = group[0]
        facts = [f"`{first.name}`", first.kind, *(["full scale"] if first.scale == "full" else [])]
        statement, experiment = (_plain(text) for text in (first.statement, regime_of(*group)))
        origin = linked(first.source, sources)
        yield f"- **{statement}** {', '.join(facts)}; {origin}. {experiment}"


def _plain(text: str) -> str:
    """The text with Markdown's stars escaped, as in ``conv*.weight``."""
    return text.replace("*", "\\*")


def _mechanism(claim: Claim) -> tuple[str, str]:
    """Title and sentence of a claim's file: its docstring's first paragraph, parted at a colon.

    Without a colon the file's name is the title.
    """
    module = claim.item.module if claim.item is not None else None
    text = " ".join((inspect.getdoc(module) or "").partition("\n\n")[0].split()) if module else ""
    title, _, sentence = text.partition(": ")
    if sentence:
        return title, sentence[0].upper() + sentence[1:]
    return Path(claim.file).stem.removeprefix("test_").replace("_", " ").capitalize(), text
