"""Is any training loop unchanged: the rounding envelope around a user's loop."""

from initcheck.trajectory.check import unchanged
from initcheck.trajectory.loops import TrajectoryError
from initcheck.trajectory.report import Report
from initcheck.trajectory.watch import Watch

__all__ = ["Report", "TrajectoryError", "Watch", "unchanged"]
