"""Probes: pure functions that measure a trained arm and return one value per seed.

A probe takes a ``Trained`` and returns a float64 tensor ``(R,)`` on the CPU. If it needs a layer's
name, pass a partial: ``partial(residual_rank, layer="hidden3.weight")``.
"""

from initcheck.probes.differences import logit_difference, loss_difference
from initcheck.probes.outcomes import (
    classes_predicted,
    epoch_loss,
    final_loss,
    first_loss,
    logit_spread,
    test_accuracy,
)
from initcheck.probes.probe import Difference, Probe, name_of
from initcheck.probes.ranks import rank, residual_off_pixels, residual_outside, residual_rank
from initcheck.probes.units import rows_against_bias, unit_spread, weight_magnitude

__all__ = [
    "Difference",
    "Probe",
    "classes_predicted",
    "epoch_loss",
    "final_loss",
    "first_loss",
    "logit_difference",
    "logit_spread",
    "loss_difference",
    "name_of",
    "rank",
    "residual_off_pixels",
    "residual_outside",
    "residual_rank",
    "rows_against_bias",
    "test_accuracy",
    "unit_spread",
    "weight_magnitude",
]
