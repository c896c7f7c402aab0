"""Checks limits and evidence against the collected claims: each must belong to a claim."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from initcheck import faults
from initcheck.baselines.evidence import BaselineError, stem_of
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import nearest
from initcheck.claims import claim_of, file_of, id_of
from initcheck.gate.holds import too_weak
from initcheck.plugin.known import NAME, read_known

CLAIM = re.compile(r"^\s*def test_(\w+)\([^)]*\bverdict\b", flags=re.MULTILINE)
ENVIRONMENT = ("pyvenv.cfg", "conda-meta")  # files that mark a folder as a Python environment


def folder_of(claims: Sequence[pytest.Item], root: Path) -> Path:
    """The nearest ``baselines`` folder next to the claims or above them, else the root's."""
    return next(iter(_nearest(claims)), root / "baselines")


def only_folder_of(claims: Sequence[pytest.Item], root: Path) -> Path:
    """As ``folder_of``, for claims that are judged together.

    Raises:
        BaselineError: the claims belong to two folders, and one would be judged by the other's.
    """
    found = _nearest(claims)
    if len(found) > 1:
        (one, claim), (two, other) = list(found.items())[:2]
        raise BaselineError(
            f"{file_of(claim)} belongs to {one}, and {file_of(other)} to {two}. The rate of false "
            "alarms is that of one folder of baselines, so run the claims of each on their own, or "
            "name one folder with --initcheck-baselines DIR."
        )
    return folder_of(claims, root)


def _nearest(claims: Sequence[pytest.Item]) -> dict[Path, pytest.Item]:
    """Every folder of baselines that is nearest to a claim, with the first such claim."""
    found: dict[Path, pytest.Item] = {}
    for start, item in {item.path.parent: item for item in reversed(claims)}.items():
        folder = nearest(start)
        if folder is not None:
            found[folder] = item
    return dict(reversed(found.items()))


def _folders(claims: Sequence[pytest.Item]) -> list[Path]:
    return list(dict.fromkeys(item.path.parent for item in claims))


def check(baselines: Baselines, claims: Sequence[pytest.Item], *, all_ids: bool) -> None:
    """Check the baselines against all claims in the files around the collected ones.

    Args:
        baselines: the folder in use.
        claims: the claims collected, before any is deselected.
        all_ids: whether every parameter of those claims was collected.

    Raises:
        BaselineError: a file is unusable, two claims share a name or a file, limits or evidence
            belong to no claim, a limit names an unknown fault, or it is of a weaker kind than its
            claim.
    """
    _check_names(claims)
    defined = _defined(baselines, claims)
    limits = baselines.folder / "limits.toml"
    orphans = sorted(set(baselines.limits) - defined)
    if orphans:
        raise BaselineError(
            f"{limits} has limits for {', '.join(orphans)}, but there is no claim of that name. "
            "Rename the limit together with its claim, or remove it."
        )
    refuse_unknown_faults(baselines)
    _refuse_unknown_claims(baselines, defined)
    _check_evidence(baselines, defined, {id_of(item) for item in claims} if all_ids else set())
    for item in claims:
        _check_kinds(baselines, item)
    _ = baselines.registered  # reads every evidence file, so that a broken one is reported now


def _refuse_unknown_claims(baselines: Baselines, defined: set[str]) -> None:
    """Refuse known failures of claims that do not exist: they would excuse nothing, unnoticed."""
    known = read_known(baselines.folder)
    orphans = sorted({each.claim for each in known if each.stem not in defined})
    if orphans:
        raise BaselineError(
            f"{baselines.folder / NAME} has known failures of {', '.join(orphans)}, but there is "
            "no claim of that name. Rename the entry together with its claim, or remove it."
        )


def refuse_unknown_faults(baselines: Baselines) -> None:
    """Refuse limits that name a fault which does not exist, as no run can seed it.

    Raises:
        BaselineError: the message names the first such limit.
    """
    for claim, probes in baselines.limits.items():
        for entry in probes.values():
            try:
                faults.find(entry.fault)
            except ValueError as error:
                file = baselines.folder / "limits.toml"
                raise BaselineError(f"{file}: [{claim}.{entry.probe}]: {error}") from None


def _check_names(claims: Sequence[pytest.Item]) -> None:
    """Limits and evidence are keyed by a claim's name, so two tests must not share one."""
    first: dict[str, pytest.Item] = {}
    ids: dict[str, str] = {}
    for item in claims:
        known = first.setdefault(claim_of(item), item)
        if _owner(known) != _owner(item):
            raise BaselineError(
                f"{_owner_words(known)} and {_owner_words(item)} both have a claim "
                f"{claim_of(item)!r}, which would share limits and evidence. Rename one of them."
            )
        same = ids.setdefault(stem_of(id_of(item)), id_of(item))
        if same != id_of(item):
            raise BaselineError(
                f"The claims {same!r} and {id_of(item)!r} would share one file of evidence. Give "
                "their parameters other ids."
            )


def _owner(item: pytest.Item) -> tuple[Path, object]:
    return item.path.resolve(), getattr(item, "cls", None)


def _owner_words(item: pytest.Item) -> str:
    """Where a claim is defined: its file, and its class if it has one."""
    owner = getattr(item, "cls", None)
    return f"the class {owner.__name__} in {file_of(item)}" if owner else file_of(item)


def _defined(baselines: Baselines, claims: Sequence[pytest.Item]) -> set[str]:
    """Names of claims in the test files around, whether or not they were collected.

    Reading stops when everything in the baselines has a claim.
    """
    wanted = {*baselines.limits, *(path.stem.split("[")[0] for path in baselines.files())}
    wanted |= {each.stem for each in read_known(baselines.folder)}
    names, read = set(map(claim_of, claims)), set[Path]()
    for path in _test_files_nearest_first(baselines.folder, claims):
        if wanted <= names:
            break
        if path not in read:
            names.update(CLAIM.findall(path.read_text(encoding="utf-8", errors="replace")))
            read.add(path)
    return names


def _test_files_nearest_first(folder: Path, claims: Sequence[pytest.Item]) -> Iterator[Path]:
    """Test files, the nearest first: next to the claims, next to the baselines, in the project.

    The project is everything below the folder that holds the claims' own baselines. The baselines
    in use may be a copy in a home folder, which would take long to search.
    """
    config, starts = claims[0].config, _folders(claims)
    # test_*.py whatever the ini file says, since the packaged claims run under any ini file
    patterns = {"test_*.py", *config.getini("python_files")}
    places = [*starts, folder.parent, *folder.parent.glob("*/")]
    near = (path for place in places for path in place.glob("*.py"))
    project = folder_of(claims, config.rootpath).parent
    ignored = config.getini("norecursedirs")
    far = (path for start in [*starts, project] for path in _files_under(start, ignored))
    for paths in (near, far):
        yield from (path for path in paths if path.is_file() and any(map(path.match, patterns)))


def _files_under(folder: Path, ignored: Sequence[str]) -> Iterator[Path]:
    """All files, except in folders that pytest does not search: builds and environments."""
    for at, names, files in os.walk(folder):
        here = Path(at)
        names[:] = [
            name for name in sorted(names)
            if not any(map((here / name).match, ignored))
            and not any((here / name / mark).exists() for mark in ENVIRONMENT)
        ]  # fmt: skip
        yield from (here / name for name in sorted(files))


def _check_evidence(baselines: Baselines, defined: set[str], ids: set[str]) -> None:
    known = {claim_id.split("[")[0] for claim_id in ids}
    stems = {stem_of(claim_id) for claim_id in ids}
    stray = []
    for path in baselines.files():
        claim = path.stem.split("[")[0]
        if claim not in defined or (claim in known and path.stem not in stems):
            stray.append(path.name)
    if stray:
        raise BaselineError(
            f"{baselines.folder / 'evidence'} has {', '.join(stray)}, but no claim of that "
            "name. Rename the file together with its claim, or remove it."
        )


def _check_kinds(baselines: Baselines, item: pytest.Item) -> None:
    marker = item.get_closest_marker("initcheck_claim")
    kind = marker.kwargs["kind"] if marker else "measured"
    for probe, limit in baselines.limits.get(claim_of(item), {}).items():
        if too_weak(kind, limit):
            raise BaselineError(
                f"{baselines.folder / 'limits.toml'}: [{limit.claim}.{probe}] is of kind "
                f"{limit.kind!r}, its claim of kind {kind!r}. A limit may be stricter than its "
                "claim, not weaker. Change one of them."
            )
