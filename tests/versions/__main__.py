"""`python -m tests.versions`: run the gate with many torch releases; write baselines/VERSIONS.md.

`nox -s matrix` names all pairs. Each is installed into a separate environment, which is
removed afterwards. What was measured on the same code is kept, so an interrupted run continues.
A pair that cannot be installed or measured is reported and does not stop the others.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from initcheck.files import write_atomic
from tests.versions import environment, measure
from tests.versions.environment import ROOT, Pair, PairError
from tests.versions.page import page

PAGE, RUNS = ROOT / "baselines" / "VERSIONS.md", ROOT / "baselines" / "versions"
ENVIRONMENTS = ROOT / "build" / "pairs"


def main() -> int:
    """Measure what is missing, and write the page; 1 if a pair could not be measured."""
    options = _parser().parse_args()
    failed = 0
    for pair, python, installed in planned(options):
        parts = measure.missing(pair, options.runs, options.k)
        if not parts or options.page_only:
            continue
        print(f"{pair.name}: {' and '.join(parts)}", flush=True)
        folder = options.environments / pair.name
        try:
            inside = python if installed else environment.make(pair, python, folder)
            _measure(pair, inside, parts, options)
        except PairError as error:
            failed += 1
            print(f"{pair.name}: {error}", flush=True)
            measure.keep(pair, options.runs, error=str(error))
        finally:
            if not installed and not options.keep:
                environment.remove(folder)
    write_atomic(options.page, page(options.runs))
    return min(failed, 1)


def planned(options: argparse.Namespace) -> list[tuple[Pair, Path, bool]]:
    """The pairs, newest first: the newest records the references of the examples.

    Each with an interpreter, and whether the pair is installed with it already.
    """
    found = {environment.of(python): (python, True) for python in options.installed}
    given = options.python or [Path(sys.executable)]
    pythons = {environment.of(python).python: python for python in given}
    for text in options.pair:
        torch, torchvision = text.split(",")
        for version, python in pythons.items():
            found.setdefault(Pair(torch, torchvision, version), (python, False))
    wanted = [pair for pair in found if options.only in pair.name]
    return [(pair, *found[pair]) for pair in sorted(wanted, key=lambda p: p.place, reverse=True)]


def _measure(pair: Pair, python: Path, parts: list[str], options: argparse.Namespace) -> None:
    if "examples" in parts:
        found = measure.examples(python, options.runs, record=True)
        measure.keep(pair, options.runs, examples=found)
    if "gate" in parts:
        found = measure.gate(python, options.k)
        measure.keep(pair, options.runs, gate=found)
        red = [each["id"] for each in found.get("red", [])]
        print(
            f"{pair.name}: {found.get('seconds')} s, {found.get('error') or len(red)} not green "
            f"{' '.join(red[:5])}", flush=True,
        )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.versions", description=__doc__)
    add = parser.add_argument
    add("--pair", metavar="TORCH,TORCHVISION", action="append", default=[], type=_pair,
        help="a pair to install; repeatable")  # fmt: skip
    add("--python", metavar="FILE", type=Path, action="append",
        help="an interpreter to install pairs for; repeatable; default: this one")  # fmt: skip
    add("--installed", metavar="FILE", type=Path, action="append", default=[],
        help="an interpreter with a pair and this checkout; repeatable")  # fmt: skip
    add("--only", metavar="TEXT", default="", help="pairs with this in the name of their file")
    add("-k", metavar="EXPRESSION", default="", help="claims, as pytest selects them")
    add("--environments", metavar="DIR", type=Path, default=ENVIRONMENTS,
        help="where environments are made; default build/pairs")  # fmt: skip
    add("--keep", action="store_true", help="do not remove environments")
    add("--page-only", action="store_true", help="measure nothing")
    add("--runs", metavar="DIR", type=Path, default=RUNS, help="default baselines/versions")
    add("--page", metavar="FILE", type=Path, default=PAGE, help="default baselines/VERSIONS.md")
    return parser


def _pair(text: str) -> str:
    if text.count(",") != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not TORCH,TORCHVISION, such as 2.9.1,0.24.1")
    return text


if __name__ == "__main__":
    sys.exit(main())
