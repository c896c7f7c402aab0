"""Recording in parts: a file of claims a process, on one machine or on many.

Arms are shared within a file of claims and hardly between files, so a file is what one process
records. It works on a copy of the baselines and brings home what is new in it, as text: so the
process may be on another machine, and one that fails leaves nothing half-written behind.
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

from initcheck.baselines.evidence import (
    BaselineError,
)
from initcheck.baselines.folder import Baselines
from initcheck.baselines.merging import demand_limits
from initcheck.claims import Claim
from initcheck.files import write_atomic
from initcheck.results import read

CORES = os.cpu_count() or 1
REFUSED = 4  # pytest's exit code of a run that was told what cannot be
RECORDED = 1  # pytest's exit code of a run that recorded: recording never passes the gate
SHOWN = 20  # last lines of a run that did not record all it should


@dataclass(frozen=True)
class Job:
    """The claims of one file, what pytest is told, and the folder in which it runs."""

    file: str
    claims: tuple[str, ...]
    options: tuple[str, ...]
    baselines: Path
    threads: int
    folder: Path


@dataclass(frozen=True)
class Done:
    """What a job brings home: evidence files by claim, as text, and pytest's exit code."""

    file: str
    evidence: dict[str, str]
    skipped: tuple[str, ...]
    missing: tuple[str, ...]
    said: str
    code: int = RECORDED

    @property
    def refused(self) -> bool:
        """Whether pytest would run nothing; a file whose claims are all skipped ends so, too."""
        return self.code == REFUSED and bool(self.missing)

    @property
    def sentence(self) -> str:
        """What was recorded; where a claim is missing, the last words of the run before it."""
        line = f"{self.file}: evidence of {len(self.evidence)} claims"
        if self.skipped:
            line += f"; skipped {', '.join(self.skipped)}"
        if not self.missing:
            return line
        last = "\n".join(self.said.splitlines()[-SHOWN:])
        return f"{last}\n{line}; not of {', '.join(self.missing)}"


def prepare(baselines: Path, out: Path) -> None:
    """See to both folders before anything is trained: what cannot be kept need not be recorded.

    A shard without files of claims leaves its folder of evidence empty, for ``merge`` to find.

    Raises:
        BaselineError: no limits.toml in the one, or the other cannot be made or written.
    """
    demand_limits(baselines)
    evidence = Baselines(out).path("").parent
    try:
        evidence.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=evidence):
            pass
    except OSError as error:
        raise BaselineError(
            f"{out} cannot take evidence: {error}. Name a folder that can be written with --out."
        ) from None


def jobs(
    claims: Iterable[Claim], options: Sequence[str], baselines: Path, *,
    workers: int = 1, shard: tuple[int, int] = (1, 1),
) -> list[Job]:  # fmt: skip
    """A job a file of claims; of shard ``(i, n)`` every n-th of them, from the i-th.

    Args:
        claims: as ``listing.collect`` finds them.
        options: what else pytest is told, ``--initcheck-record`` among it.
        baselines: the folder with limits.toml.
        workers: jobs at the same time on one machine, which share its cores.
        shard: 1 <= i <= n.
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
    """Run the jobs, each in a process of its own, and yield them as they come home.

    Args:
        work: the jobs.
        workers: how many at the same time, without Dask.
        dask: address of a Dask scheduler, whose workers see the same files at the same paths.

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
        from distributed import Client  # noqa: PLC0415 -- only who has a cluster needs it
    except ImportError:
        raise BaselineError(
            "--dask needs Dask's scheduler, which is not installed: pip install distributed"
        ) from None
    try:
        client = Client(dask, timeout=10)  # joblib finds the newest client by itself
    except (OSError, ValueError) as error:
        raise BaselineError(
            f"No Dask scheduler answers at {dask}: {error}. Start one with `dask scheduler`."
        ) from None
    with client, parallel_config(backend="dask"):
        yield


def run(job: Job) -> Done:
    """Record the claims of one file into a copy of the baselines."""
    with tempfile.TemporaryDirectory() as folder:
        copy, results = Baselines(Path(folder) / "baselines"), Path(folder) / "results.json"
        before = _copied(Baselines(job.baselines), copy)
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", job.file, "-q", "-p", "no:cacheprovider",
                "--initcheck-baselines", str(copy.folder), "--initcheck-json", str(results),
                *job.options,
            ],
            env=os.environ | {"OMP_NUM_THREADS": str(job.threads)}, cwd=job.folder,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        new = [path for path in copy.files() if before.get(path) != path.stat().st_mtime_ns]
        texts = {path.stem: path.read_text(encoding="utf-8") for path in new}
        ran = _ran(job, results)
    recorded = texts if done.returncode == RECORDED else {}
    skipped = tuple(claim for claim in job.claims if claim not in ran)
    missing = tuple(claim for claim in job.claims if claim in ran and claim not in recorded)
    return Done(job.file, recorded, skipped, missing, done.stdout + done.stderr, done.returncode)


def _ran(job: Job, results: Path) -> set[str]:
    """Claims that ran on some device; all, where a run broke off and left no results."""
    if not results.exists():
        return set(job.claims)
    ids = [result.id for result in read(results).results]
    return {claim for claim in job.claims if any(_is_of(claim, i) for i in ids)}


def _is_of(claim: str, result_id: str) -> bool:
    """Whether a result, whose id ends with the device, is one of a claim."""
    stem = claim.removesuffix("]")
    return result_id.startswith((f"{stem}[", f"{stem}-"))


def _copied(baselines: Baselines, copy: Baselines) -> dict[Path, int]:
    """Copy limits and evidence, and return when each file of the copy was written.

    Not what is in it: the same claim recorded twice on one day may leave the same bytes.
    """
    shutil.copytree(
        baselines.folder, copy.folder, ignore=lambda folder, names: _others(folder, names, copy)
    )
    return {path: path.stat().st_mtime_ns for path in copy.files()}


def _others(folder: str, names: Sequence[str], copy: Baselines) -> set[str]:
    """All but limits.toml and the folder of evidence."""
    wanted = {copy.path("").parent.name, "limits.toml"}
    return set() if Path(folder).name in wanted else set(names) - wanted


def keep(done: Done, folder: Path) -> None:
    """Put what a job brought home into a folder of baselines."""
    for claim, text in done.evidence.items():
        write_atomic(Baselines(folder).path(claim), text)


# --- merging --------------------------------------------------------------------------------------
