"""Which pictures a run does not have, why, and which command draws them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from initcheck.report import formatting
from initcheck.results import INTERRUPTED, Run

#: The mechanisms with whose claims each picture comes; `initcheck.gate.pictures` draws them.
DRAWN_WITH: dict[str, tuple[str, ...]] = {
    "equal_units": ("symmetry", "constant start"),
    "learning_curves": ("weight scale", "zeroed layer", "symmetry", "depth", "identity trains"),
    "residual_rank_over_steps": ("residual rank", "hadamard", "identity trains"),
    "weight_histograms": ("zeroed layer", "dead units", "bias only"),
    "waking_layers": ("layers wake in turn", "symmetry", "bias only"),
    "learning_rates": ("weight scale", "optimizer hides start", "conformance"),
    "signal_over_depth": (
        "deep relu", "gradients in depth", "gains", "trainable depth", "init laws",
    ),
    "width_transfer": ("width transfer",),
    "attention_rank": ("attention", "depth of transformers", "transformer starts"),
    "rounding_envelope": ("zeroed layer", "weight scale", "first steps"),
}  # fmt: skip


def omitted(run: Run) -> list[tuple[str, list[str], str]]:
    """The pictures that a run does not have.

    Returns:
        For each reason: a sentence, the names of the pictures, and a command that draws them.
        Nothing for a run none of whose claims has a picture.
    """
    judged = {result.mechanism for result in run.results}
    drawn = {picture.name for picture in run.pictures}
    wanted = [name for name, with_ in DRAWN_WITH.items() if not judged.isdisjoint(with_)]
    if not drawn and not wanted:
        return []
    absent = [name for name in wanted if name not in drawn]
    others = [name for name in DRAWN_WITH if name not in drawn and name not in wanted]
    rows = []
    if absent:
        rows.append((_why(run), absent, _command(run, absent, judged)))
    if others:
        whose = "its mechanism" if len(others) == 1 else "their mechanisms"
        rows.append((f"No claim on {whose} was judged.", others, _command(run, others, set())))
    return rows


def _why(run: Run) -> str:
    """Why a run has no picture although a claim on its mechanism was judged."""
    if run.exit_status == INTERRUPTED:
        return "The run was interrupted before pictures were drawn."
    if not (run.pictures or run.settings.pictures):
        return "The run was made without pictures."
    return "The file of this run has no table of it."


def _command(run: Run, names: Sequence[str], judged: set[str]) -> str:
    """Runs a file of claims per picture, if possible one that this run has judged."""
    files = [
        next((each for each in DRAWN_WITH[name] if each in judged), DRAWN_WITH[name][0])
        for name in names
    ]
    paths = [f"benchmarks/test_{name.replace(' ', '_')}.py" for name in dict.fromkeys(files)]
    words = ["pytest", *paths]
    if run.settings.fault:
        words += ["--initcheck-fault", run.settings.fault]
    return shlex.join([*words, "--initcheck-html", "report.html"])


def sentences(runs: Sequence[Run], labels: Sequence[str]) -> list[tuple[str, str]]:
    """For a page: what is not drawn of which run and why; and the command that draws it."""
    rows = []
    for number, run in enumerate(runs):
        for reason, names, command in omitted(run):
            count = formatting.counted(len(names), "picture")
            text = f"{count} not drawn ({', '.join(names)}). {reason}"
            rows.append((f"{labels[number]}: {text}" if labels else text, command))
    return rows
