"""``initcheck.run``: judges claims by name and gives their values as a table, as in a notebook."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from initcheck.report import formatting
from initcheck.results import SIDES, ClaimResult, Comparison, Run, read

if TYPE_CHECKING:
    import pandas as pd

JUDGED = (0, 1)  # pytest's exit codes of a run that went to its end
# Options with which pytest prints something and judges no claim.
UNJUDGED = (
    "--cache-show", "--co", "--collect-only", "--fixtures", "--fixtures-per-test", "--help",
    "--markers", "--setup-only", "--setup-plan", "--version", "-V", "-h",
)  # fmt: skip
LAST = 12  # lines of output that an error without a sentence shows


class RunError(ValueError):
    """The claims cannot be run; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of the table: the value of one arm on one seed. See ``run``."""

    claim: str
    device: str
    comparison: str = ""
    side: str = ""
    arm: str = ""
    seed: int | None = None
    value: float = float("nan")
    unit: str = ""
    limit: str = ""
    verdict: str


def run(
    claims: str | Iterable[str],
    *,
    device: str | Iterable[str] | None = None,
    seeds: int | None = None,
    fault: str | None = None,
    options: Sequence[str] = (),
    verbose: bool = False,
) -> pd.DataFrame:
    """Judge claims as ``pytest benchmarks`` does, and return the values of every seed.

    The claims run in another process, started in the current folder. The caller's modules, random
    numbers and flags stay as they are.

    Args:
        claims: one name or several, as ``initcheck claims`` lists them, such as
            ``"he_beats_randn"``, or with parameters, such as ``"he_learns[relu]"``.
        device: one name, such as ``"cpu"``, or several, which must compute; by default the
            CPU and every accelerator that computes.
        seeds: per arm; by default as many as each claim needs.
        fault: breaks one thing on purpose, as ``--initcheck-fault`` does.
        options: further options of pytest, such as ``["--initcheck-scale", "full"]``.
        verbose: print what pytest prints.

    Returns:
        A table with one row per claim, device, comparison, side and seed, in the order in which
        they run. Its columns: ``claim`` (with its parameters), ``device``, ``comparison`` (the
        probe), ``side`` (``treated`` or ``control``), ``arm`` (its name), ``seed``, ``value`` in
        ``unit``, ``limit`` and ``verdict`` (of the comparison). A claim without a value has one
        row, whose value is NaN. ``attrs["messages"]`` has a failure message per claim that is not
        green, or the reason why it was not judged.

    Raises:
        RunError: there is no such claim, device or fault, or no claim could be run.
    """
    names = [*claims] if isinstance(claims, Iterable) and not isinstance(claims, str) else [claims]
    wrong = [name for name in names if not isinstance(name, str) or name[:1] in ("", "-")]
    if wrong or not names:
        what = f", not {wrong[0]!r}" if wrong else ""
        raise RunError(f"Name a claim{what}: `initcheck claims` lists all of them.")
    if isinstance(options, str):
        raise RunError(f"options is one text, {options!r}. Give a list: {options.split()}.")
    unjudged = [option for option in options if option in UNJUDGED]
    if unjudged:
        raise RunError(
            f"With the option {unjudged[0]} pytest judges no claim, so there would be no table. "
            "Leave it out; `initcheck claims` lists all claims."
        )
    named = [device] if isinstance(device, str) else [*(device or ())]
    given = {"device": ",".join(named), "seeds": seeds, "fault": fault}
    chosen = [
        f"--initcheck-{key}={value}" for key, value in given.items() if value not in (None, "")
    ]
    with tempfile.TemporaryDirectory(prefix="initcheck-run-") as folder:
        file = Path(folder) / "results.json"
        arguments = [*names, "--", *options, *chosen, f"--initcheck-json={file}"]
        code, output = _process(arguments, verbose=verbose, storage=folder)
        if not file.exists() or not (code in JUDGED or _skips(file)):
            raise RunError(_why(output, code))
        return table(read(file))


def table(whole: Run) -> pd.DataFrame:
    """The table of a run, as ``run`` returns it."""
    import pandas as pd  # noqa: PLC0415 -- importing this module must not cost that

    rows = [row for result in whole.results for row in _rows(result)]
    rows += [Row(claim=lost.id, device="", verdict="not judged") for lost in whole.not_judged]
    names = [each.name for each in fields(Row)]
    frame = pd.DataFrame([vars(row) for row in rows], columns=names)
    frame["seed"] = frame["seed"].astype("Int64")  # a claim without a value has no seed
    frame.attrs["messages"] = {
        **{result.id: result.message for result in whole.results if result.message},
        **{lost.id: lost.reason for lost in whole.not_judged},
    }
    return frame


def _rows(result: ClaimResult) -> Iterator[Row]:
    if not result.probes:
        yield Row(claim=result.name, device=result.device, verdict=result.verdict)
    for comparison in result.probes:
        for side in SIDES:
            for place, value in enumerate(comparison.values(side)):
                yield Row(
                    claim=result.name, device=result.device, comparison=comparison.title,
                    side=side, arm=comparison.name(side), seed=_seed(comparison, place),
                    value=value, unit=comparison.unit, limit=formatting.limit(comparison),
                    verdict=comparison.verdict,
                )  # fmt: skip
        if not (comparison.treated or comparison.control):
            yield Row(
                claim=result.name, device=result.device, comparison=comparison.title,
                unit=comparison.unit, limit=formatting.limit(comparison),
                verdict=comparison.verdict,
            )  # fmt: skip


def _seed(comparison: Comparison, place: int) -> int | None:
    return comparison.seeds[place] if place < len(comparison.seeds) else None


def _skips(file: Path) -> bool:
    """Whether all claims skipped themselves, which is no error here: the table says why."""
    lost = read(file).not_judged
    return bool(lost) and all(claim.skipped for claim in lost)


def _process(arguments: Sequence[str], *, verbose: bool, storage: str) -> tuple[int, str]:
    """Exit code and output of the process that runs pytest.

    ``storage`` is where pytest-benchmark makes its folder, in place of the current one.
    """
    benchmarks = shlex.quote(f"--benchmark-storage=file://{storage}")
    added = f"{os.environ.get('PYTEST_ADDOPTS', '')} {benchmarks}"
    command = [sys.executable, "-m", "initcheck.cli.named", *arguments]
    lines = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", errors="replace", env=os.environ | {"PYTEST_ADDOPTS": added},
    ) as process:  # fmt: skip
        try:
            for line in process.stdout or ():
                lines.append(line)
                if verbose:
                    print(line, end="", flush=True)
        except BaseException:
            process.kill()
            raise
    return process.returncode, "".join(lines)


def _why(output: str, code: int) -> str:
    """The sentence with which the process ended; without one its last lines."""
    lines = [line for line in output.splitlines() if line.strip()]
    starts = [n for n, line in enumerate(lines) if line.startswith("ERROR: ")]
    if starts:
        return " ".join(line.strip() for line in lines[starts[0] :]).removeprefix("ERROR: ")
    last = "\n".join(lines[-LAST:]) or "it printed nothing"
    return f"pytest ended with exit code {code} before the claims were judged:\n{last}"
