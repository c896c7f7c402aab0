"""Imported once by the fork server, so that no forked run has to import the same again."""

from pathlib import Path

import numpy as np
import scipy.stats

from initcheck.baselines.folder import Baselines
from initcheck.gate.trainer import Laboratory
from initcheck.plugin import prefetch, session

__all__ = ["np", "scipy", "session"]

Laboratory().data("mnist5k")
prefetch.load_optimizers()
if (Path("baselines") / "limits.toml").exists():
    _ = Baselines(Path("baselines")).registered  # reads every evidence file and caches it
