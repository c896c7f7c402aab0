"""All faults that `unchanged` must catch wherever they occur."""

from __future__ import annotations

from tests.trajectory import faults_model, faults_optimizer

FAULTS = {change.name: change for change in [*faults_optimizer.FAULTS, *faults_model.FAULTS]}
