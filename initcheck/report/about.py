"""What the head of every report says about a run: its versions, and what it does not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from initcheck.results import Environment, Run, Settings

VERSIONS = ("initcheck", "torch", "torchvision", "numpy", "scipy", "python")
DRAWING = ("seeds", "salt")  # settings that decide which seeds a run draws
#: Settings that change what a run computes or judges, with what each is called if it is not set.
COMPUTING = {
    "seeds": "as each claim needs", "salt": "none", "scale": "brief", "engine": "ensemble",
    "judge": "all", "fault": "none", "init": "none",
}  # fmt: skip


def versions(environment: Environment) -> str:
    """The versions that matter and the devices, such as ``torch 2.14.1, python 3.11.2, cpu``."""
    names = ("initcheck", "torch", "python")
    known = [f"{name} {version}" for name in names if (version := getattr(environment, name))]
    return ", ".join([*known, *map(device, environment.devices)])


def device(description: Mapping[str, Any]) -> str:
    """A device's name, with its hardware in parentheses if that is known."""
    hardware = description.get("hardware")
    return f"{description['name']} ({hardware})" if hardware else str(description["name"])


def notes(run: Run) -> list[str]:
    """What a reader must know before anything else in a report on this run."""
    return [*([run.unfinished] if run.unfinished else []), *reservations(run.settings)]


def seeded(settings: Settings) -> str:
    """That a run seeds a fault on purpose."""
    return f"FAULT {settings.fault} is seeded: this run must fail"


def reservations(settings: Settings) -> list[str]:
    """Why a run with these settings says less than one without options, or never passes."""
    lines = []
    if settings.record:
        lines.append(f"recording ({settings.record}): this run does not pass, whatever it finds")
    if settings.fault:
        lines.append(seeded(settings))
    if settings.judge != "all":
        lines.append(
            f"only a part is judged (--initcheck-judge {settings.judge}): a green run says less "
            "than one without that option"
        )
    return lines


def differing(
    named_runs: Sequence[tuple[str, Run]], names: Sequence[str] = tuple(COMPUTING)
) -> list[str]:
    """A line per setting that is not the same in all runs: ``salt: none in A, otter in B``."""
    lines = []
    for name in names:
        texts = [_setting(run.settings, name) for _, run in named_runs]
        if len(set(texts)) > 1:
            of_runs = zip(texts, named_runs, strict=True)
            lines.append(f"{name}: {', '.join(f'{text} in {run}' for text, (run, _) in of_runs)}")
    return lines


def _setting(settings: Settings, name: str) -> str:
    value = getattr(settings, name)
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return text or COMPUTING[name]
