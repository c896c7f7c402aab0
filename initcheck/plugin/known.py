"""Known failures, which people write in `known_failures.toml`: reading, checking and matching.

Each entry names one failing comparison of one claim on one type of device and one torch release,
with its verdict and a part of its reason. A claim is excused only if it fails in exactly the ways
that its entries name, so an entry hides no other failure. One that passes is red: its entry is out
of date.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from initcheck.baselines.evidence import BaselineError
from initcheck.files import is_there, read_text
from initcheck.results import ORDER, ClaimResult

NAME = "known_failures.toml"
RED = ORDER[1:]  # the verdicts that a known failure can have


@dataclass(frozen=True)
class KnownFailure:
    """One ``[[failure]]`` of known_failures.toml.

    Attributes:
        claim: with its parameters, without its device, such as ``he_learns[relu]``.
        device: the type of device, such as ``xla``.
        torch: the release, without a label such as ``+cpu``.
        verdict: that of the comparison; of the claim if it failed before it could judge.
        comparison: the probe, with its case in parentheses if it has one; empty for a claim that
            failed before it could judge.
        because: a part of the reason that the comparison gives, or of the claim's message.
        reason: why it fails.
        reproduce: a command or a program that shows the cause.
    """

    claim: str
    device: str
    torch: str
    verdict: str
    comparison: str
    because: str
    reason: str
    reproduce: str

    @property
    def stem(self) -> str:
        """The claim's name without parameters."""
        return self.claim.partition("[")[0]

    def applies(self, result: ClaimResult, torch: str) -> bool:
        """Whether it is about this claim on this type of device with this release of torch."""
        here = (result.name, result.device.partition(":")[0], torch.partition("+")[0])
        return here == (self.claim, self.device, self.torch)


def read_known(folder: Path) -> tuple[KnownFailure, ...]:
    """All known failures of a folder of baselines; none if it has no such file.

    Raises:
        BaselineError: the file is not TOML, or an entry lacks, misspells or doubles something.
    """
    path = folder / NAME
    try:
        tables = tomllib.loads(read_text(path)) if is_there(path) else {}
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BaselineError(f"{path} is not valid TOML: {error}. Correct that place.") from None
    except (OSError, ValueError) as error:
        raise BaselineError(f"{path} cannot be read: {error}. Restore the file.") from None
    entries = tables.pop("failure", [])
    if tables or not isinstance(entries, list):
        raise BaselineError(
            f"{path} has {', '.join(map(repr, tables)) or 'a table [failure]'}. It must hold "
            "[[failure]] tables and nothing else. Write each of them with two brackets."
        )
    known = tuple(_entry(f"{path}: entry {n}", each) for n, each in enumerate(entries, start=1))
    _refuse_doubles(path, known)
    return known


def _entry(place: str, entry: Any) -> KnownFailure:
    keys = [each.name for each in fields(KnownFailure)]
    entry = entry if isinstance(entry, dict) else {}
    for key in entry:
        if key not in keys:
            raise BaselineError(f"{place} has an unknown key {key!r}. Write {', '.join(keys)}.")
    for key in keys:
        value = entry.get(key)
        if not isinstance(value, str) or (not value.strip() and key != "comparison"):
            raise BaselineError(
                f"{place} lacks {key!r}, a text in quotes. Add it: what is known to fail must be "
                "named so closely that nothing else passes for it."
            )
    if entry["verdict"] not in RED:
        raise BaselineError(
            f"{place} has verdict {entry['verdict']!r}. Write one of {', '.join(RED)}."
        )
    return KnownFailure(**entry)


def _refuse_doubles(path: Path, known: Sequence[KnownFailure]) -> None:
    seen = set()
    for each in known:
        key = each.claim, each.device, each.torch, each.comparison
        if key in seen:
            raise BaselineError(
                f"{path} has two entries about {each.comparison or 'the whole claim'!r} of "
                f"{each.claim} on {each.device} with torch {each.torch}. Remove one of them."
            )
        seen.add(key)


def excused(result: ClaimResult, known: Sequence[KnownFailure], torch: str) -> ClaimResult:
    """The result with the reason for which it is known to fail, if it fails in just that way.

    A claim that passes although an entry is about it has that reason as well, and a message: it is
    red. One that fails in another way has a message that says what was expected.
    """
    entries = [each for each in known if each.applies(result, torch)]
    if not entries:
        return result
    reasons = " ".join(dict.fromkeys(each.reason for each in entries))
    if result.verdict == "pass":
        return replace(result, known=reasons, message=_passes(result, torch))
    if _matches(result, entries):
        return replace(result, known=reasons)
    expected = "; ".join(
        f"{each.comparison or 'the claim itself'} {each.verdict} because of {each.because!r}"
        for each in entries
    )
    other = f"known      {NAME} expects another failure here: {expected}"
    return replace(result, message=f"{result.message}\n\n{other}")


def _matches(result: ClaimResult, entries: Sequence[KnownFailure]) -> bool:
    """Whether each failure has its entry, and each entry its failure."""
    red = {probe.title: (probe.verdict, probe.reason) for probe in result.red}
    if len(red) < len(result.red):
        return False  # two comparisons share a title, so an entry could be about either
    if not red:
        red = {"": (result.verdict, result.message)}
    elif result.verdict not in {verdict for verdict, _ in red.values()}:
        return False  # something else is wrong with the claim
    return {each.comparison for each in entries} == {*red} and all(
        each.verdict == red[each.comparison][0]
        and " ".join(each.because.split()) in " ".join(red[each.comparison][1].split())
        for each in entries
    )


def _passes(result: ClaimResult, torch: str) -> str:
    return (
        f"PASSES   {result.id}\n"
        f"  because    {NAME} lists it as a known failure with torch {torch.partition('+')[0]}, "
        "and it passes.\n  next       remove its entry, so that a later failure is red"
    )
