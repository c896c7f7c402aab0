"""Nothing fails and nothing warns about starts that are right."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from tests.inspection import innocent
from tests.inspection.faulty import rows
from tests.inspection.layers import LAYERS, weighted

INNOCENT = {
    **{
        build.__name__: build
        for build in (
            innocent.zero_head, innocent.zeros_everywhere_but_biases, innocent.AdaLnZero,
            innocent.ControlNet, innocent.lora_a_zero, innocent.lora_b_zero, innocent.focal_prior,
            innocent.identity, innocent.orthogonal, innocent.Siren, innocent.SineTable,
            innocent.Tied, innocent.Teacher, innocent.UnusedExpert, innocent.weight_normed,
            innocent.dropout, innocent.Recurrent, innocent.takes_a_seed, innocent.Hippo,
            innocent.ScaledEmbedding, innocent.weight_normed_by_a_hook, innocent.Masked,
            innocent.SlicesOfOneDraw, innocent.signs, innocent.orthogonal_by_parametrization,
            innocent.noisy, innocent.OneNumber, innocent.MovingTeacher, innocent.Averaged,
            innocent.Alternating,
        )
    },
    **{
        kind: partial(innocent.Residual, kind)
        for kind in ("zero residual", "zero gain", "rezero", "layerscale", "plain")
    },
}  # fmt: skip


@pytest.mark.parametrize("build", INNOCENT.values(), ids=INNOCENT)
def test_nothing_is_wrong(build):
    inspection = inspect_model(build, rows, name="innocent")
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    assert inspection.ok
    assert "asleep" in inspection.judged.checks


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_torch_is_right(layer):
    build, inputs = LAYERS[layer]
    inspection = inspect_model(build, lambda: inputs, loss=weighted, name=layer)
    assert "asleep" in inspection.judged.checks
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    assert inspection.judged.parameters == inspection.judged.of_parameters > 0


def test_the_layers_of_an_encoder_are_copies():
    """The encoder of torch copies one layer, so that its layers start equal in bits."""
    layer = partial(nn.TransformerEncoderLayer, 8, 2, 16)
    inspection = inspect_model(lambda: nn.TransformerEncoder(layer(), 3), name="encoder")
    (finding,) = inspection.of_severity("warn")
    assert finding.check == "distinct"
    assert "3 modules start as copies" in finding.message


@pytest.mark.parametrize("build", [innocent.MovingTeacher, innocent.Averaged])
def test_copies_that_the_loss_does_not_use_are_noted(build):
    """Without a batch nothing is known of the loss, so they are copies like any other."""
    notes = [
        each for each in inspect_model(build, rows).of_severity("note") if each.check == "distinct"
    ]  # fmt: skip
    assert "took no part in the loss" in notes[0].message
    names = {name for each in notes for name in each.parameters}
    assert names
    assert all(name.startswith(("teacher.", "average")) for name in names)
    assert {each.check for each in inspect_model(build).of_severity("warn")} == {"distinct"}


def test_bfloat16_is_judged():
    inspection = inspect_model(innocent.bfloat16)
    assert inspection.ok
    assert inspection.judged.parameters == 4


def test_branches_that_start_at_zero_wake_in_order():
    inspection = inspect_model(innocent.lora_b_zero, rows)
    assert inspection.wakes["b"] == 1
    assert inspection.wakes["a"] == 2
    frame = inspection.frame.set_index("name")
    assert frame.loc["a", "wakes"] == 2
    assert frame.loc["a", "shape"] == (2, 8)
    assert torch.is_grad_enabled()
