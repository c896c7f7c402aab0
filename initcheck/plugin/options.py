"""Every option: its command-line form, ini key, environment variable and check. No torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initcheck.files import is_same
from initcheck.plugin import values

if TYPE_CHECKING:
    from typing import Self

    from initcheck.gate.setting import Judge

SCALES = ("brief", "full")
ENGINES = ("ensemble", "module", "replay")
# The names in initcheck.networks.ACTIVATIONS, which would import torch.
ACTIVATIONS = ("relu", "elu", "celu", "selu", "gelu", "silu", "tanh", "sigmoid", "linear")
JUDGED = ("all", "outcomes", "record")
REFUSED_IN_CI = (
    "is refused where CI is set: people record evidence on a machine they know, and review it. "
    "Record it there and commit the files."
)


@dataclass(frozen=True)
class Option:
    """One setting: ``--initcheck-NAME``, ``initcheck_NAME`` in an ini file, ``INITCHECK_NAME``."""

    name: str
    help: str
    read: Callable[[str], Any]
    default: Any = None
    metavar: str | None = None
    flag: bool = False
    many: bool = False
    lines: bool = False  # many, one a line

    @property
    def key(self) -> str:
        """The name in Python, in ini files and, in capitals, in the environment."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"INITCHECK_{self.key.upper()}"

    def argparse(self) -> dict[str, Any]:
        """Arguments for ``addoption``; values stay strings until they are checked."""
        common = {"dest": f"initcheck_{self.key}", "default": None, "help": self.help}
        if self.flag:
            return common | {"action": "store_const", "const": "true"}
        return common | {"metavar": self.metavar, "action": "append" if self.many else "store"}

    def value(self, config: pytest.Config) -> Any:
        """The value: command line first, then environment, ini file, default.

        Raises:
            pytest.UsageError: the value is invalid; the message is a sentence.
        """
        given = config.getoption(f"initcheck_{self.key}")
        where = f"--initcheck-{self.name}"
        if given is None and os.environ.get(self.variable):
            given, where = os.environ[self.variable], self.variable
        if given is None and config.getini(f"initcheck_{self.key}"):
            given, where = config.getini(f"initcheck_{self.key}"), f"initcheck_{self.key}"
        if given is None:
            return self.default
        try:
            if not self.many:
                return self.read(given)
            split = str.splitlines if self.lines else str.split
            texts = given if isinstance(given, list) else split(given)
            return tuple(self.read(text) for text in texts if text.strip() or not self.lines)
        except (
            ValueError,
            OSError,
            RuntimeError,
        ) as error:
            # the latter two come from paths: unreadable, or below the home of an unknown user
            raise pytest.UsageError(f"{where}: {error}") from None


OPTIONS = (
    Option("device", "devices that must run, or auto", values.devices, ("auto",), "NAME,…"),
    Option("seeds", "replicas per arm and stage", values.count, None, "N"),
    Option("scale", "brief (minutes) or full (the notebooks' own protocols)",
           values.one_of(*SCALES), "brief", "brief|full"),
    Option("engine", "ensemble (all replicas at once), module (plain loops) or replay (a GPU "
           "records one step and replays it)",
           values.one_of(*ENGINES), "ensemble", "|".join(ENGINES)),
    Option("data-root", "where torchvision's data lies", values.folder, None, "DIR"),
    Option("download", "allow data to be fetched", values.yes, False, flag=True),
    Option("baselines", "another folder of limits and evidence", values.folder, None, "DIR"),
    Option("record", "write evidence, for this reason; the run then fails once",
           values.reason, None, "REASON"),
    Option("accept-drift", "record although outcomes moved from the first record, and why",
           values.reason, None, "REASON"),
    Option("require-evidence", "a comparison without evidence is invalid", values.yes, False,
           flag=True),
    Option("init", "judge your own initializer by the conformance claims; repeatable",
           values.function_name, (), "MODULE:FUNCTION", many=True),
    Option("activation", "the activation of the networks in which --initcheck-init is judged",
           values.one_of(*ACTIVATIONS), "relu", "NAME"),
    Option("model", "inspect the module that this function builds, one item per check",
           values.function_name, None, "MODULE:FUNCTION"),
    Option("batch", "returns (inputs, targets) for the inspected model",
           values.function_name, None, "MODULE:FUNCTION"),
    Option("start", "the recorded start of the inspected model: compared with it, or written with "
           "--initcheck-record", values.file, None, "FILE"),
    Option("allow", "what may be found in the inspected model, with the reason; repeatable",
           values.exception, (), "'PATTERN CHECK REASON'", many=True, lines=True),
    Option("json", "write results for machines", values.file, None, "FILE"),
    Option("html", "write a report for people", values.file, None, "FILE"),
    Option("pictures", "train what pictures of the mechanisms need, and add them to the files of "
           "results; on with --initcheck-html", values.yes, None, flag=True),
    Option("profile", "print where the time went: the slowest arms, and the share of each purpose",
           values.yes, False, flag=True),
    Option("judge", "all, or a part of it for measuring error rates: outcomes without the rounding "
           "envelope, or the record without measured limits",
           values.one_of(*JUDGED), "all", "|".join(JUDGED)),
    Option("salt", "draw other stage seeds", str, "", "TEXT"),
    Option("fault", "break one thing on purpose, to see a claim go red; such a run never passes "
           "(initcheck explain CLAIM lists the faults)", values.name, None, "NAME"),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The checked values of all options."""

    device: tuple[str, ...]
    seeds: int | None
    scale: str
    engine: str
    data_root: Path | None
    download: bool
    baselines: Path | None
    record: str | None
    accept_drift: str | None
    require_evidence: bool
    init: tuple[str, ...]
    activation: str
    model: str | None
    batch: str | None
    start: Path | None
    allow: tuple[str, ...]
    json: Path | None
    html: Path | None
    pictures: bool | None
    profile: bool
    judge: Judge
    salt: str
    fault: str | None

    @classmethod
    def of(cls, config: pytest.Config) -> Self:
        """Read every option.

        Raises:
            pytest.UsageError: an option is wrong, or recording is refused.
        """
        settings = cls(**{option.key: option.value(config) for option in OPTIONS})
        if settings.record is not None and values.in_ci():
            raise pytest.UsageError(f"--initcheck-record {REFUSED_IN_CI}")
        if settings.json and settings.html and is_same(settings.json, settings.html):
            raise pytest.UsageError(
                f"--initcheck-json and --initcheck-html both name {settings.html}, so the page "
                "would replace the results. Name two files."
            )
        if config.getoption("initcheck_pictures") and not (settings.json or settings.html):
            raise pytest.UsageError(
                "--initcheck-pictures adds pictures to the files of results, and none is "
                "requested. Add --initcheck-html FILE or --initcheck-json FILE."
            )
        if settings.record is not None and settings.fault is not None:
            raise pytest.UsageError(
                "--initcheck-record is refused with --initcheck-fault: a run under a seeded fault "
                "is no evidence. Leave out one of them."
            )
        if settings.record is not None and settings.init:
            raise pytest.UsageError(
                "--initcheck-record is refused with --initcheck-init: evidence for your "
                "initializer would belong to no claim in a run without it. Leave out one of them."
            )
        if settings.activation != "relu" and not settings.init:
            raise pytest.UsageError(
                f"--initcheck-activation {settings.activation} chooses the networks in which a "
                "given initializer is judged, so it needs --initcheck-init MODULE:FUNCTION too."
            )
        if settings.record is not None and settings.judge != "all":
            raise pytest.UsageError(
                f"--initcheck-record is refused with --initcheck-judge {settings.judge}: only a "
                "claim that is judged completely is recorded. Leave out one of them."
            )
        if settings.accept_drift is not None and settings.record is None:
            raise pytest.UsageError(
                "--initcheck-accept-drift says why a recording may differ, so it needs "
                "--initcheck-record REASON too."
            )
        if settings.model is None:
            settings._refuse_without_model(given=bool(config.getoption("initcheck_allow")))
        return settings

    def _refuse_without_model(self, *, given: bool) -> None:
        """Refuse options that only inspection reads; ``given``: an exception on the command line.

        Exceptions in an ini file may stay there while claims run.
        """
        for option, is_set, what in (
            ("batch", self.batch is not None, "the model it is for."),
            ("start", self.start is not None, "the model whose start it keeps."),
            ("allow", given, "the model it is for. In tests, mark them with initcheck_allow."),
        ):
            if is_set:
                raise pytest.UsageError(
                    f"--initcheck-{option} needs --initcheck-model MODULE:FUNCTION, {what}"
                )

    @property
    def draws(self) -> bool:
        """Whether pictures are drawn: if requested, or for a page unless they are turned off."""
        return self.html is not None if self.pictures is None else self.pictures

    @property
    def demanded(self) -> tuple[str, ...]:
        """Devices named by the user, each of which must run."""
        return () if self.device == ("auto",) else self.device
