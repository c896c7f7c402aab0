"""Claims: the decorator that marks a test as one, its names, and the list of all claims.

pytest's collection is the only registry of claims.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest

MARKER = "initcheck_claim"
KINDS = ("exact", "theorem", "measured")
LISTED_DEVICE = "cpu"  # claims are listed for this device only, so listing works on any machine
FULL_SCALE = "full_scale"  # a fixture of the claims' authors; it skips a claim at brief scale


# --- the decorator --------------------------------------------------------------------------------


def claim(
    *, source: str, kind: str, seeds: int | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test as a claim.

    Args:
        source: where the statement comes from, e.g. ``"notebook 001"``.
        kind: ``exact`` (true in real arithmetic), ``theorem`` (the limit is computed) or
            ``measured`` (the limit is placed between the two arms).
        seeds: how many seeds a stage has, if not the number for its kind; for expensive arms that
            are far apart. ``--initcheck-seeds`` overrides it.

    Raises:
        ValueError: the kind is none of these, the source is not a string, the number of seeds is
            not positive, or the test has no docstring, which is the claim's statement.
    """
    if kind not in KINDS:
        raise ValueError(f"A claim's kind is exact, theorem or measured, not {kind!r}.")
    if not isinstance(source, str):
        raise ValueError(f"A claim's source is a string, not {source!r}.")  # noqa: TRY004 -- as kind
    if seeds is not None and seeds < 1:
        raise ValueError(f"A claim's number of seeds is at least 1, not {seeds}.")

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        kept = sys.flags.optimize < 2  # under `python -OO` the plugin refuses the claim instead
        if kept and not (test.__doc__ or "").strip():
            raise ValueError(f"{test.__name__} needs a docstring: the claim, as one true sentence.")
        pytest.mark.initcheck_claim(source=source, kind=kind, seeds=seeds)(test)
        return test

    return mark


# --- names ----------------------------------------------------------------------------------------


def claim_of(item: pytest.Item) -> str:
    """The claim's name: its test's name without ``test_`` and without parameters."""
    return getattr(item, "originalname", item.name).removeprefix("test_")


def id_of(item: pytest.Item) -> str:
    """The claim's name with its parameters but without the device, such as ``he_learns[relu]``.

    Evidence is filed under it.
    """
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return claim_of(item)
    device = callspec.params.get("initcheck_device", "")
    parameters = callspec.id.removesuffix(device).removesuffix("-")
    return f"{claim_of(item)}[{parameters}]" if parameters else claim_of(item)


def node_of(item: pytest.Item) -> str:
    """The test with all its parameters, as pytest names it in the folder where it started."""
    _, _, test = item.nodeid.partition("::")
    return f"{file_of(item)}::{test.partition('[')[0]}"


def file_of(item: pytest.Item) -> str:
    """The test's file: relative if it is below the folder where pytest started, else absolute."""
    here = item.config.invocation_params.dir
    path = item.path.relative_to(here) if item.path.is_relative_to(here) else item.path
    return path.as_posix()


def statement_of(test: Callable[..., object]) -> tuple[str, str]:
    """A claim's statement and its details: the first paragraph of its docstring, and the others."""
    summary, _, details = (inspect.getdoc(test) or "").partition("\n\n")
    return " ".join(summary.split()), " ".join(details.split())


# --- the list -------------------------------------------------------------------------------------


EVERYTHING = ""  # in place of a path: all that pytest collects in the project


class CollectionError(Exception):
    """The claims could not be listed; the text says why, in pytest's words or in a sentence."""


class NoClaimError(CollectionError):
    """There is no claim where claims were looked for."""


@dataclass(frozen=True)
class Claim:
    """One claim with one set of parameters.

    Attributes:
        claim: its name with parameters, as ``id_of`` gives it.
        statement: the summary line of its docstring.
        details: the rest of its docstring, or an empty text.
        seeds: how many seeds its stages have, or None for the number for its kind.
        line: of its test in ``file``, counted from 1.
        node: pytest's name of its test.
        scale: ``full`` if it is skipped at brief scale, else ``brief``.
        item: its test as pytest collected it.
    """

    claim: str
    kind: str
    source: str
    statement: str
    file: str
    line: int
    node: str = ""
    scale: str = "brief"
    details: str = ""
    seeds: int | None = None
    item: pytest.Function | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """Its name without parameters, as limits.toml has it."""
        return self.claim.partition("[")[0]


def collect(paths: Sequence[str] = ()) -> list[Claim]:
    """Every claim under these paths, in the order in which pytest runs them.

    Args:
        paths: files, folders, tests, or ``EVERYTHING``; ``./benchmarks`` if empty.

    Raises:
        NoClaimError: there is no claim.
        CollectionError: a path is missing, or a file cannot be collected.
    """
    where = [*paths] or ["benchmarks"]
    _refuse_missing(where)
    quiet = ["--collect-only", "-q", "-p", "no:cacheprovider"]
    # An installed initcheck is imported before pytest can rewrite it, and it has no assertions.
    quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    collector, output = _Collector(everything=EVERYTHING in where), StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        code = pytest.main([*quiet, *filter(None, where)], plugins=[collector])
    place = " ".join(filter(None, where)) or "this project"
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise CollectionError(f"pytest could not collect {place}:\n{output.getvalue()}")
    if not collector.claims:
        raise NoClaimError(f"There is no claim in {place}. Name a folder or file that has some.")
    return list(dict.fromkeys(collector.claims))


def _refuse_missing(paths: Sequence[str]) -> None:
    """Refuse paths that do not exist, in one sentence; names of packages follow ``--pyargs``."""
    if "--pyargs" in paths:
        return
    for path in paths:
        file = path.partition("::")[0]
        if file and not Path(file).exists():
            raise CollectionError(f"There is no file or folder {file}. Name one that has claims.")


@dataclass
class _Collector:
    """A pytest plugin that keeps the claims among the collected tests."""

    claims: list[Claim] = field(default_factory=list)
    everything: bool = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        if hasattr(config.option, "initcheck_device"):  # this machine may lack the demanded one
            config.option.initcheck_device = LISTED_DEVICE
        if self.everything:
            config.args = _searched(config)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            marker = item.get_closest_marker(MARKER)
            if marker is not None and isinstance(item, pytest.Function):
                self.claims.append(_claim(item, marker))


def _searched(config: pytest.Config) -> list[str]:
    """Where pytest looks for tests if it is started in the project's root."""
    root = config.inipath.parent if config.inipath else config.rootpath
    named = [str(path) for name in config.getini("testpaths") for path in sorted(root.glob(name))]
    return named or [str(root)]


def _claim(item: pytest.Function, marker: pytest.Mark) -> Claim:
    statement, details = statement_of(item.function)
    _, line, _ = item.location
    return Claim(
        claim=id_of(item), kind=marker.kwargs["kind"], source=marker.kwargs["source"],
        statement=statement, details=details, seeds=marker.kwargs.get("seeds"),
        file=file_of(item), line=(line or 0) + 1, node=node_of(item),
        scale="full" if FULL_SCALE in item.fixturenames else "brief",
        item=item,
    )  # fmt: skip
