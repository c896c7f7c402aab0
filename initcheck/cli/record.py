"""``initcheck record``: one process records one file of claims, on one machine or on many.

Claims of one file share arms, and claims of different files hardly do. Each process works on a copy
of the baselines and returns the new evidence as text. It may therefore run on another machine, and
a process that fails leaves no half-written file behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config

from initcheck.baselines.evidence import BaselineError, stem_of
from initcheck.baselines.folder import Baselines
from initcheck.baselines.merging import demand_limits
from initcheck.claims import Claim
from initcheck.cli import child
from initcheck.files import write_atomic
from initcheck.report.formatting import counted
from initcheck.results import read

CORES = os.cpu_count() or 1
REFUSED = 4  # pytest's exit code if an option is wrong or what it names is missing
RECORDED = 1  # pytest's exit code after recording, which never passes the gate
SHOWN = 20  # lines shown from the end of a run that missed a claim


@dataclass(frozen=True)
class Job:
    """The claims of one file, pytest's options, and the folder in which pytest runs."""

    file: str
    claims: tuple[str, ...]
    options: tuple[str, ...]
    baselines: Path
    threads: int
    folder: Path


@dataclass(frozen=True)
class Done:
    """What a job recorded, which claims it did not record, and what pytest said.

    Attributes:
        evidence: the text of each new evidence file, by claim.
        skipped: claims that did not run.
        missing: claims that ran and were not recorded.
        output: what pytest printed.
        code: pytest's exit code.
    """

    file: str
    evidence: dict[str, str]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]
    output: str
    code: int = RECORDED

    @property
    def refused(self) -> bool:
        """Whether pytest refused to run. A file whose claims are all skipped has the same code."""
        return self.code == REFUSED and bool(self.missing)

    @property
    def sentence(self) -> str:
        """What was recorded; if a claim is missing, the end of pytest's output before it."""
        line = f"{self.file}: evidence of {counted(len(self.evidence), 'claim')}"
        if self.skipped:
            line += f"; skipped {', '.join(self.skipped)}"
        if not self.missing:
            return line
        last = "\n".join(self.output.splitlines()[-SHOWN:])
        return f"{last}\n{line}; not of {', '.join(self.missing)}"


def prepare(baselines: Path, out: Path) -> None:
    """Check both folders before anything is trained, and create the folder for evidence.

    A shard without files of claims leaves that folder empty, and ``merge`` accepts it.

    Raises:
        BaselineError: ``baselines`` has no limits.toml, or ``out`` cannot be written.
    """
    demand_limits(baselines)
    evidence = Baselines(out).path("").parent
    try:
        evidence.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=evidence):
            pass
    except OSError as error:
        raise BaselineError(
            f"Evidence cannot be written to {out}: {error}. Name another folder with --out."
        ) from None


def jobs(
    claims: Iterable[Claim], options: Sequence[str], baselines: Path, *,
    workers: int = 1, shard: tuple[int, int] = (1, 1),
) -> list[Job]:  # fmt: skip
    """The jobs of a recording: each is one run of pytest that records one file of claims.

    For shard ``(i, n)`` these are every n-th job, starting with the i-th.

    Args:
        claims: the claims to record.
        options: further options of pytest, including ``--initcheck-record``.
        baselines: the folder with limits.toml.
        workers: number of jobs that share the cores of one machine.
        shard: ``(i, n)`` with 1 <= i <= n.
    """
    files: dict[str, list[str]] = {}
    for claim in claims:
        files.setdefault(claim.file, []).append(claim.claim)
    threads = max(1, CORES // workers)
    first, step = shard
    return [
        Job(file, tuple(names), tuple(options), baselines.resolve(), threads, Path.cwd())
        for file, names in list(files.items())[first - 1 :: step]
    ]


def run_all(work: Sequence[Job], workers: int, dask: str | None = None) -> Iterator[Done]:
    """Run each job in its own process and yield results in the order in which jobs finish.

    Args:
        work: the jobs.
        workers: number of jobs at the same time, without Dask.
        dask: address of a Dask scheduler. Its workers must see the same files at the same paths.

    Raises:
        BaselineError: Dask is not installed, or its scheduler does not answer.
    """
    with _backend(dask):
        how: dict[str, Any] = {} if dask else {"n_jobs": workers, "backend": "threading"}
        parallel = Parallel(return_as="list" if dask else "generator_unordered", **how)
        yield from parallel(delayed(run)(job) for job in work)


@contextmanager
def _backend(dask: str | None) -> Iterator[None]:
    if dask is None:
        yield
        return
    try:
        from distributed import Client  # noqa: PLC0415 -- only --dask needs it
    except ImportError:
        raise BaselineError(
            "--dask needs the package distributed, which is not installed. Run "
            "`pip install distributed`."
        ) from None
    try:
        client = Client(dask, timeout=10)  # joblib uses the newest client
    except (OSError, ValueError) as error:
        raise BaselineError(
            f"No Dask scheduler answers at {dask}: {error}. Start one with `dask scheduler`."
        ) from None
    with client, parallel_config(backend="dask"):
        yield


def run(job: Job) -> Done:
    """Record the claims of one file into a copy of the baselines."""
    with tempfile.TemporaryDirectory(prefix="initcheck-") as folder, _lifeline() as lifeline:
        copy, results = Baselines(Path(folder) / "baselines"), Path(folder) / "results.json"
        before = _copied(Baselines(job.baselines), copy)
        done = subprocess.run(
            [
                sys.executable, child.__file__, folder, job.file, "-q", "-p", "no:cacheprovider",
                "--initcheck-baselines", str(copy.folder), "--initcheck-json", str(results),
                *job.options,
            ],
            env=os.environ | {"OMP_NUM_THREADS": str(job.threads)}, cwd=job.folder,
            stdin=lifeline, capture_output=True, text=True, check=False,
        )  # fmt: skip
        new = [path for path in copy.files() if before.get(path) != path.stat().st_mtime_ns]
        texts = {path.stem: path.read_text(encoding="utf-8") for path in new}
        ran = _ran(job, results)
    recorded = texts if done.returncode == RECORDED else {}
    skipped = tuple(claim for claim in job.claims if claim not in ran)
    missing = tuple(
        claim for claim in job.claims if claim in ran and stem_of(claim) not in recorded
    )
    return Done(job.file, recorded, skipped, missing, done.stdout + done.stderr, done.returncode)


@contextmanager
def _lifeline() -> Iterator[int]:
    """Standard input for a child. It reaches its end with the block, or with this process."""
    read_end, write_end = os.pipe()  # no other child inherits them
    try:
        yield read_end
    finally:
        os.close(write_end)
        os.close(read_end)


def _ran(job: Job, results: Path) -> set[str]:
    """Claims that ran on some device; all claims if the run wrote no results."""
    if not results.exists():
        return set(job.claims)
    ids = [result.id for result in read(results).results]
    return {claim for claim in job.claims if any(_is_of(claim, i) for i in ids)}


def _is_of(claim: str, result_id: str) -> bool:
    """Whether a result belongs to a claim; a result's id ends with its device."""
    stem = claim.removesuffix("]")
    return result_id.startswith((f"{stem}[", f"{stem}-"))


def _copied(baselines: Baselines, copy: Baselines) -> dict[Path, int]:
    """Copy limits and evidence, and return the time at which each copied file was written.

    The time shows what is new. The text does not: a claim recorded twice on one day may give the
    same bytes.
    """
    shutil.copytree(
        baselines.folder, copy.folder, ignore=lambda folder, names: _others(folder, names, copy)
    )
    return {path: path.stat().st_mtime_ns for path in copy.files()}


def _others(folder: str, names: Sequence[str], copy: Baselines) -> set[str]:
    """The names that are not copied: all but limits.toml and the folder of evidence."""
    wanted = {copy.path("").parent.name, "limits.toml"}
    return set() if Path(folder).name in wanted else set(names) - wanted


def keep(done: Done, folder: Path) -> None:
    """Write a job's evidence into a folder of baselines."""
    for claim, text in done.evidence.items():
        write_atomic(Baselines(folder).path(claim), text)
