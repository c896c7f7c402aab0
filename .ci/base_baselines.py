"""The baselines that judge a pull request: the base's for old claims, its own for new ones.

`python .ci/base_baselines.py --base DIR --ours DIR --out DIR` writes them into a new folder, and
prints what the pull request changes as Markdown. A limit, evidence or a known failure that the
base has is taken from the base, so a pull request cannot move what judges it. A claim that the base
does not have is judged by the pull request's own. What is changed or removed needs a person's
approval, and so does a limit that a claim of the base did not have, since its test now measures
something else: then the last line is `approval=required`, else `approval=none`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

LIMITS, KNOWN = "limits.toml", "known_failures.toml"
Changes = dict[str, list[str]]  # added, changed and removed: a line each


def main() -> int:
    """Write the folder and print the difference; 4 if a folder cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, what in (
        ("base", "baselines of the base"), ("ours", "those of the pull request"),
        ("out", "a new folder for those that judge"),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=what)
    options = parser.parse_args()
    try:
        changes = chosen(options.base, options.ours, options.out)
    except (OSError, ValueError) as error:
        print(f"The baselines were not chosen: {error}.", file=sys.stderr)
        return 4
    print(markdown(changes))
    needed = changes["changed"] or changes["removed"]
    print(f"approval={'required' if needed else 'none'}")
    return 0


def chosen(base: Path, ours: Path, out: Path) -> Changes:
    """Write the baselines that judge into ``out``; returns what the pull request changes.

    Raises:
        OSError: a folder has no limits, or ``out`` is there already.
        ValueError: a file is not TOML or not JSON.
    """
    changes: Changes = {"added": [], "changed": [], "removed": []}
    out.mkdir(parents=True)
    old, new = read(base / LIMITS), read(ours / LIMITS)
    (out / LIMITS).write_text(limits(old, new, changes), encoding="utf-8")
    known = failures(known_of(base), known_of(ours), {*old}, changes)
    if known:
        (out / KNOWN).write_text("\n".join(map(failure, known)), encoding="utf-8")
    evidence(base / "evidence", ours / "evidence", out / "evidence", changes)
    return changes


def read(path: Path) -> dict[str, Any]:
    """A TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None


# --- limits ---------------------------------------------------------------------------------------


def limits(old: Mapping[str, Any], new: Mapping[str, Any], changes: Changes) -> str:
    """The text of limits.toml: the pull request's tables, with the base's numbers and words."""
    was = dict(tables(old))
    now = dict(tables(new))
    for key in sorted(was.keys() - now.keys()):
        changes["removed"].append(f"limit [{'.'.join(key)}]: {numbers(was[key])}")
    texts = []
    for key, entry in now.items():
        name = ".".join(key)
        if key not in was and key[0] in old:
            own = f"{numbers(entry)}, judged by its own as the base has none of this name"
            changes["changed"].append(f"limit [{name}]: {own}")
        elif key not in was:
            changes["added"].append(f"limit [{name}]: {numbers(entry)}")
        elif was[key] != entry:
            changes["changed"].append(f"limit [{name}]: {difference(was[key], entry)}")
        texts.append(table(f"[{quoted(key)}]", was.get(key, entry)))
    return "\n".join(texts)


def tables(whole: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """Each table by its claim and probe."""
    for claim, probes in whole.items():
        for probe, entry in probes.items():
            yield (claim, probe), entry


def quoted(key: tuple[str, str]) -> str:
    """The keys of a table in quotes, since a probe's name may be no bare key."""
    return ".".join(json.dumps(part, ensure_ascii=False) for part in key)


def table(head: str, entry: Mapping[str, Any]) -> str:
    """A TOML table of texts and numbers: JSON's form of both is TOML's."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entry.items()]
    return "\n".join([head, *lines, ""])


def numbers(entry: Mapping[str, Any]) -> str:
    """The numbers of a limit."""
    given = [f"{key} {entry[key]}" for key in ("min", "max", "margin") if key in entry]
    return ", ".join(given) or "no number"


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two tables."""
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return "; ".join(f"{key} was {old.get(key, '-')}, is {new.get(key, '-')}" for key in keys)


# --- known failures -------------------------------------------------------------------------------


def known_of(folder: Path) -> list[dict[str, Any]]:
    """The known failures of a folder; none if it has no such file."""
    path = folder / KNOWN
    entries: list[dict[str, Any]] = read(path).get("failure", []) if path.exists() else []
    return entries


def failures(
    old: list[dict[str, Any]], new: list[dict[str, Any]], claims: set[str], changes: Changes
) -> list[dict[str, Any]]:
    """Those of the base, and those of the pull request about claims that the base lacks.

    One that the pull request removes does not excuse any more, as its claim may be removed too.
    """
    for entry in new:
        if entry not in old:
            kind = "changed" if stem(entry) in claims else "added"
            changes[kind].append(f"known failure of {about(entry)}: {entry.get('reason', '-')}")
    for entry in old:
        if entry not in new:
            changes["removed"].append(f"known failure of {about(entry)}")
    return [entry for entry in new if entry in old or stem(entry) not in claims]


def stem(entry: Mapping[str, Any]) -> str:
    """The name of the claim that a known failure is about, without parameters."""
    return str(entry.get("claim", "")).partition("[")[0]


def about(entry: Mapping[str, Any]) -> str:
    """What a known failure is about."""
    names = ("claim", "device", "torch", "comparison", "verdict")
    return ", ".join(str(entry.get(name) or "-") for name in names)


def failure(entry: Mapping[str, Any]) -> str:
    """A known failure as TOML."""
    return table("[[failure]]", entry)


# --- evidence -------------------------------------------------------------------------------------


def evidence(base: Path, ours: Path, out: Path, changes: Changes) -> None:
    """Copy each file of the pull request's evidence, from the base if the base has it."""
    old = {path.name: path for path in base.glob("*.json")}
    new = {path.name: path for path in ours.glob("*.json")}
    out.mkdir()
    for name in sorted(old.keys() - new.keys()):
        changes["removed"].append(f"evidence of {Path(name).stem}")
    for name, path in sorted(new.items()):
        shutil.copy(old.get(name, path), out / name)
        if name not in old:
            changes["added"].append(f"evidence of {path.stem}")
        elif old[name].read_bytes() != path.read_bytes():
            changes["changed"].append(f"evidence of {path.stem}: {moved(old[name], path)}")


def moved(old: Path, new: Path) -> str:
    """How far the means of recorded outcomes moved."""
    was, now = means(old), means(new)
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    shown = [f"{key}: mean was {was.get(key, '-')}, is {now.get(key, '-')}" for key in keys[:4]]
    more = [f"and {len(keys) - 4} more"] * (len(keys) > 4)
    return "; ".join([*shown, *more]) or "the same outcomes"


def means(path: Path) -> dict[str, float]:
    """The mean of each recorded arm."""
    found = {}
    for place in json.loads(path.read_text(encoding="utf-8"))["environments"]:
        for key, comparison in place.get("comparisons", {}).items():
            for side in ("treated", "control"):
                values = [v for v in comparison.get(side) or [] if isinstance(v, int | float)]
                if values:
                    device = place.get("environment", {}).get("device type", "")
                    found[f"{device} {key} {side}".strip()] = fmean(values)
    return found


# --- the page -------------------------------------------------------------------------------------

TITLES = {
    "changed": "Changed: this run was judged by the base's unless a line says otherwise",
    "removed": "Removed",
    "added": "Added: this run was judged by the pull request's own",
}


def markdown(changes: Changes) -> str:
    """The difference as a person reads it before approving it."""
    if not any(changes.values()):
        return "The baselines are those of the base.\n"
    lines = ["## Baselines", ""]
    for kind, title in TITLES.items():
        if changes[kind]:
            lines += [f"### {title}", "", *(f"- {one_line(each)}" for each in changes[kind]), ""]
    return "\n".join(lines)


def one_line(text: str) -> str:
    """Text of a pull request on one line and as code, so that it cannot look like the page."""
    return "`" + " ".join(text.replace("`", "'").split())[:400] + "`"


if __name__ == "__main__":
    sys.exit(main())
