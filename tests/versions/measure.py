"""Measures one pair: the gate, random streams, and the examples of `inspect` and `unchanged`."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from initcheck import results
from initcheck.error_rates import fingerprint
from initcheck.files import write_atomic
from initcheck.gate.record import commit
from initcheck.results import ClaimResult, Comparison, Drift
from tests.versions.environment import ROOT, Pair, last_line

PARTS = ("gate", "examples")  # each is kept and measured again on its own
LIMIT = 3600  # seconds for one part
#: What decides the examples: they do not run under the gate.
EXAMPLES = ("examples", "initcheck/inspection", "initcheck/trajectory", "initcheck/envelope")
#: What measuring writes, as git leaves it out.
WRITTEN = (":!baselines/versions", ":!baselines/VERSIONS.md")
MEASURING = ("tests/versions/inside.py", "tests/versions/streams.py", "tests/trajectory/measure.py")


def code(part: str, selected: str = "") -> str:
    """A fingerprint of what decides a part; another one means that it is measured again."""
    if part == "gate":
        return f"{fingerprint.of_gate(ROOT)} {selected}".strip()
    faulty = (ROOT / "tests" / "inspection").glob("*faulty*.py")
    files = [ROOT / name for name in MEASURING] + sorted(faulty)
    for folder in EXAMPLES:
        files += sorted((ROOT / folder).rglob("*.py"))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]


def file_of(pair: Pair, folder: Path) -> Path:
    """Where the measurement of a pair is kept."""
    return folder / f"{pair.name}.json"


def file_of_reference(folder: Path, name: str) -> Path:
    """Where the reference of an example is kept."""
    return folder / f"reference-{name}.json"


def kept(pair: Pair, folder: Path) -> dict[str, Any]:
    """What was measured of a pair so far."""
    path = file_of(pair, folder)
    if not path.exists():
        return {"torch": pair.torch, "torchvision": pair.torchvision, "python": pair.python}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def missing(pair: Pair, folder: Path, selected: str = "") -> list[str]:
    """The parts of a pair that were not measured with the code of now."""
    before = kept(pair, folder)
    return [each for each in PARTS if before.get(each, {}).get("code") != code(each, selected)]


def keep(pair: Pair, folder: Path, **parts: Any) -> None:
    """Write parts of a pair's measurement; an error that an earlier run met is forgotten."""
    before = {key: value for key, value in kept(pair, folder).items() if key != "error"}
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(before | parts, indent=1, sort_keys=True, allow_nan=False)
    write_atomic(file_of(pair, folder), text + "\n")


def about(part: str, selected: str = "") -> dict[str, Any]:
    """What every part says of itself."""
    now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
    return {"code": code(part, selected), "commit": commit_of_code(ROOT), "date": now}


def commit_of_code(root: Path) -> str:
    """The commit of a checkout, with a plus if anything but measurements was changed.

    The first measurement that is written changes the tree, and decides nothing about the second.
    """
    with contextlib.chdir(root):
        described = commit()
    command = ["git", "status", "--porcelain", "--untracked-files=no", "--", ".", *WRITTEN]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    changed = done.returncode or done.stdout.strip()
    return described if changed else described.removesuffix("+")


# --- the gate -------------------------------------------------------------------------------------


def gate(python: Path, selected: str = "", more: Sequence[str] = ()) -> dict[str, Any]:
    """One run of the gate in an environment; ``selected`` is pytest's ``-k``."""
    before = about("gate", selected)
    began, processor = time.monotonic(), os.times()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [str(python), "-m", "pytest", "benchmarks", "-q", "-p", "no:cacheprovider"]
        command += ["--initcheck-device=cpu", "--initcheck-require-evidence"]
        command += [f"--initcheck-json={file}", "--benchmark-skip", *more]
        command += ["-k", selected] if selected else []
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT,
                env=environment(),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return before | {"error": f"no result after {LIMIT} s"}
        now = os.times()
        spent = now.children_user + now.children_system
        spent -= processor.children_user + processor.children_system
        seconds = {"seconds": round(time.monotonic() - began), "processor": round(spent)}
        if not file.exists():
            output = last_line(done.stderr) or last_line(done.stdout)
            return before | seconds | {"exit": done.returncode, "error": output}
        run = results.read(file)
    return before | seconds | {"exit": done.returncode} | condensed(run)


def environment() -> dict[str, str]:
    """The user's variables without those that would change the gate or its imports."""
    return {
        key: value for key, value in os.environ.items()
        if not key.startswith(("INITCHECK_", "PYTEST_", "PYTHON", "VIRTUAL_ENV"))
    }  # fmt: skip


def condensed(run: results.Run) -> dict[str, Any]:
    """Verdicts, what is not green with its reason, and the distance of every arm."""
    arms = sorted(_arms(run.results), key=lambda arm: -arm["r"])
    starts = [each for each in _drifts(run.results) if "start" in each[3].verdict]
    return {
        "platform": run.environment.platform,
        "devices": [dict(each) for each in run.environment.devices],
        "verdicts": {result.id: result.verdict for result in run.results},
        "red": [
            {"id": result.id, "verdict": result.verdict,
             "reasons": _reasons(result) or [result.message[:300]]}
            for result in run.results if result.verdict != "pass"
        ],
        "not_judged": [
            {"id": each.id, "reason": each.reason} for each in run.not_judged if not each.skipped
        ],
        "arms": len(arms), "farthest": arms[:20],
        "other_starts": sorted({f"{result.name}: {probe.name(side)}"
                                for result, probe, side, _ in starts}),
    }  # fmt: skip


def _reasons(result: ClaimResult) -> list[str]:
    return [f"{each.title} {each.verdict}: {each.reason}"[:600] for each in result.red]


def _drifts(claims: Sequence[ClaimResult]) -> Iterator[tuple[ClaimResult, Comparison, str, Drift]]:
    for result in claims:
        for probe in result.probes:
            for side, drift in probe.drift.items():
                yield result, probe, side, drift


def _arms(claims: Sequence[ClaimResult]) -> Iterator[dict[str, Any]]:
    """Each arm with a distance; a distance that is not finite counts as 1e30."""
    for result, probe, side, drift in _drifts(claims):
        if drift.r is not None:
            yield {
                "claim": result.name, "probe": probe.title, "arm": probe.name(side),
                "r": drift.r if math.isfinite(drift.r) else 1e30, "tensor": drift.tensor or "",
                "step": drift.first_step,
            }  # fmt: skip


# --- the examples ---------------------------------------------------------------------------------


def examples(python: Path, folder: Path, *, record: bool) -> dict[str, Any]:
    """Random streams and the examples, measured in an environment.

    ``record``: whether references of the examples that are missing are recorded there.
    """
    before = about("examples")
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "found.json"
        command = [str(python), "-m", "tests.versions.inside", str(file)]
        command += ["--references", str(folder), *["--record"] * record]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT,
                env=environment() | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return before | {"error": f"no result after {LIMIT} s"}
        if done.returncode or not file.exists():
            return before | {"error": last_line(done.stderr) or f"exit code {done.returncode}"}
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return before | found
