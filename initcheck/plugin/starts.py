"""The starts of the arms that are recorded, as a second process builds them.

Recording runs the same pytest again, with this module as a plugin (``-p``). It calls the claims'
tests, builds the arms that they declare, trains nothing, and writes the fingerprints to a file.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initcheck.baselines.evidence import BaselineError

if TYPE_CHECKING:
    from initcheck.gate.verdict import Verdict

FILE = "INITCHECK_STARTS_FILE"  # names the file in the second process
OUTPUTS = ("--initcheck-json", "--initcheck-html")  # files that belong to the first process
SHOWN = 10  # lines of the second process's output, if it failed


# --- in the first process -------------------------------------------------------------------------


@dataclass(frozen=True)
class SecondProcess:
    """Runs the same pytest again when its starts are first needed."""

    arguments: tuple[str, ...]
    folder: Path
    xdist: bool

    @classmethod
    def like(cls, config: pytest.Config) -> SecondProcess:
        """One that runs with the options of this run."""
        params = config.invocation_params
        arguments = tuple(map(str, params.args))
        return cls(arguments, params.dir, config.pluginmanager.hasplugin("xdist"))

    @cached_property
    def starts(self) -> dict[str, Any]:
        """Fingerprints by ``str(arm)``.

        Raises:
            BaselineError: the process wrote nothing; the message has the end of its output.
        """
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "starts.json"
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *self._arguments()], cwd=self.folder,
                env=_environment(file), capture_output=True, text=True, check=False,
            )  # fmt: skip
            if file.exists():
                found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                return found
        last = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN:])
        raise BaselineError(
            "Recording builds the initial weights of every arm again in a second process. It "
            f"failed, so nothing was recorded. Correct the error that it printed:\n{last}"
        )

    def _arguments(self) -> list[str]:
        kept = list(_without_outputs(self.arguments))
        alone = ["-n0"] if self.xdist else []
        return [*kept, *alone, "-p", __name__, "-o", "initcheck_json=", "-o", "initcheck_html="]


def _without_outputs(arguments: Sequence[str]) -> Iterator[str]:
    after = False
    for argument in arguments:
        if after or argument.startswith(tuple(f"{name}=" for name in OUTPUTS)):
            after = False
            continue
        after = argument in OUTPUTS
        if not after:
            yield argument


def _environment(file: Path) -> dict[str, str]:
    """Another seed for Python's hashes, and no files of results."""
    hashes = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    kept = {
        name: value for name, value in os.environ.items()
        if name not in ("INITCHECK_JSON", "INITCHECK_HTML", "PYTEST_CURRENT_TEST")
        and not name.startswith("PYTEST_XDIST")
    }  # fmt: skip
    return kept | {FILE: str(file), "PYTHONHASHSEED": hashes}


# --- in the second process ------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Come before initcheck's own plugin, which would train."""
    config.pluginmanager.register(Builder(), "initcheck-starts")


@dataclass
class Builder:
    """Builds what claims declare."""

    starts: dict[str, Any] = field(default_factory=dict)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Run claims only."""
        items[:] = [item for item in items if item.get_closest_marker("initcheck_claim")]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool:
        """Call a claim's test, and build the arms of its comparisons."""
        verdict: Verdict | None = pyfuncitem.funcargs.get("verdict")  # type: ignore[assignment] # ours
        names = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001 -- no public name for them
        with contextlib.suppress(pytest.skip.Exception):
            pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
        self._build(verdict)
        return True

    def _build(self, verdict: Verdict | None) -> None:
        from initcheck.gate.repeatable import start_of  # noqa: PLC0415 -- torch, for claims only

        for pair in verdict.pairs if verdict else ():
            for arm in pair.arms.values():
                if str(arm) not in self.starts:
                    self.starts[str(arm)] = start_of(arm)

    def pytest_sessionfinish(self) -> None:
        """Write the fingerprints."""
        Path(os.environ[FILE]).write_text(json.dumps(self.starts), encoding="utf-8")
