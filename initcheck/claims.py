"""The list of claims, collected by pytest itself: its collection is the only registry."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import pytest

MARKER = "initcheck_claim"
PACKAGE = "initcheck_benchmarks"  # what benchmarks/ is called in a wheel
LISTED_DEVICE = "cpu"  # claims are listed for this one only, so that listing needs no other
COLUMNS = 100
FULL_SCALE = "full_scale"  # the fixture, of whoever writes the claims, that skips at brief scale


class CollectionError(Exception):
    """Why pytest could not collect, in its own words or in a sentence."""


@dataclass(frozen=True)
class Claim:
    """One claim: its name without ``test_`` and device, where it is written, its test and scale."""

    claim: str
    kind: str
    source: str
    statement: str
    file: str
    line: int
    node: str = ""
    scale: str = "brief"


def collect(paths: Sequence[str] = ()) -> list[Claim]:
    """Every claim under these paths, in the order in which pytest runs them.

    Without paths: those of ``./benchmarks``, or of the installed package where there is no such
    folder.

    Raises:
        CollectionError: a path is missing, a file cannot be collected, or no claim is there.
    """
    where = [*paths] or _default_paths()
    quiet = ["--collect-only", "-q", "-p", "no:cacheprovider"]
    # An installed initcheck is imported before pytest can rewrite it, and it has no assertions.
    quiet += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    collector, output = _Collector(), StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        code = pytest.main([*quiet, *where], plugins=[collector])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise CollectionError(f"pytest could not collect {' '.join(where)}:\n{output.getvalue()}")
    if not collector.claims:
        raise CollectionError(f"{' '.join(where)} holds no claim; name a folder that does.")
    return list(dict.fromkeys(collector.claims))


def as_text(claims: Sequence[Claim]) -> str:
    """Name, kind and source of each claim on a line, and its statement below."""
    width = max((len(claim.claim) for claim in claims), default=0)
    return "\n".join(line for claim in claims for line in _lines(claim, width))


def as_markdown(claims: Sequence[Claim]) -> str:
    """The table of the README: one row a claim, whatever its parameters."""
    rows = {claim.claim.split("[")[0]: claim for claim in claims}
    head = ["| claim | kind | what it says |", "|---|---|---|"]
    return "\n".join(
        head + [f"| `{name}` | {claim.kind} | {claim.statement} |" for name, claim in rows.items()]
    )


def _lines(claim: Claim, width: int) -> Iterable[str]:
    head = f"{claim.claim:<{width}}  {claim.kind:<8}  {claim.source}"
    yield from textwrap.wrap(head, COLUMNS, subsequent_indent="        ")
    yield from textwrap.wrap(
        claim.statement, COLUMNS, initial_indent="    ", subsequent_indent="    "
    )


def _default_paths() -> list[str]:
    if Path("benchmarks").is_dir():
        return ["benchmarks"]
    if find_spec(PACKAGE) is None:
        raise CollectionError(
            f"There is no folder benchmarks here and no package {PACKAGE}; name the folder or file "
            "that holds the claims."
        )
    return ["--pyargs", PACKAGE]


@dataclass
class _Collector:
    """A pytest plugin that keeps the claims among the collected tests."""

    claims: list[Claim] = field(default_factory=list)

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        if hasattr(config.option, "initcheck_device"):  # a demanded device may be missing here
            config.option.initcheck_device = LISTED_DEVICE

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            marker = item.get_closest_marker(MARKER)
            if marker is not None and isinstance(item, pytest.Function):
                self.claims.append(_claim(item, marker))


def _claim(item: pytest.Function, marker: pytest.Mark) -> Claim:
    _, line, _ = item.location
    return Claim(
        claim=item.originalname.removeprefix("test_") + _parameters(item),
        kind=marker.kwargs["kind"],
        source=marker.kwargs["source"],
        statement=" ".join((inspect.getdoc(item.function) or "").split()),
        file=_shortest(item.path),
        line=(line or 0) + 1,
        node=f"{_shortest(item.path)}::{item.nodeid.partition('::')[2].partition('[')[0]}",
        scale="full" if FULL_SCALE in item.fixturenames else "brief",
    )


def _parameters(item: pytest.Function) -> str:
    """The id in brackets without the device, which stands last: ``[relu]``, or nothing."""
    if not hasattr(item, "callspec"):
        return ""
    own = f"-{item.callspec.id}".removesuffix(f"-{LISTED_DEVICE}").removeprefix("-")
    return f"[{own}]" if own else ""


def _shortest(path: Path) -> str:
    """A path from here if it is below, else from the root."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def claim(*, source: str, kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test as a claim.

    Args:
        source: where the statement comes from, e.g. ``"notebook 001"``.
        kind: ``exact`` (true in real arithmetic), ``theorem`` (limit computed), ``measured``.

    Raises:
        ValueError: another kind, a source that is no text, or a test without a docstring, which is
            the claim's statement.
    """
    if kind not in ("exact", "theorem", "measured"):
        raise ValueError(f"a claim's kind is exact, theorem or measured, not {kind!r}")
    if not isinstance(source, str):
        raise ValueError(f"a claim's source is a text, not {source!r}")  # noqa: TRY004 -- as kind

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        if not (test.__doc__ or "").strip():
            raise ValueError(f"{test.__name__} needs a docstring: the claim, as one true sentence")
        pytest.mark.initcheck_claim(source=source, kind=kind)(test)
        return test

    return mark


def claim_of(item: pytest.Item) -> str:
    """The claim's name: its test's, without ``test_`` and parameters."""
    return getattr(item, "originalname", item.name).removeprefix("test_")


def id_of(item: pytest.Item) -> str:
    """The claim's name with its parameters but without the device, as evidence is filed."""
    callspec = getattr(item, "callspec", None)
    if callspec is None:
        return claim_of(item)
    device = callspec.params.get("initcheck_device", "")
    parameters = callspec.id.removesuffix(device).removesuffix("-")
    return f"{claim_of(item)}[{parameters}]" if parameters else claim_of(item)


def node_of(item: pytest.Item) -> str:
    """The test with all its parameters, as pytest is told to run it from where this run began."""
    _, _, within = item.nodeid.partition("::")
    return f"{file_of(item)}::{within.partition('[')[0]}"


def file_of(item: pytest.Item) -> str:
    """The test file, relative to the folder in which pytest was started where it is below."""
    here = item.config.invocation_params.dir
    path = item.path.relative_to(here) if item.path.is_relative_to(here) else item.path
    return path.as_posix()
