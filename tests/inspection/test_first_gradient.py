"""The first gradient against float64, and against the slope of the loss."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection.exact import Exact, SameRandom
from initcheck.inspection.parts import sum_in_parts
from initcheck.inspection.passes import Runner
from initcheck.inspection.sketches import directed, jittered, length, sketch
from initcheck.inspection.subject import Subject
from tests.inspection import faulty_batch, innocent, innocent_batch
from tests.inspection.faulty import CLASSES, rows


def of_first_gradient(build, batch=rows):
    inspection = inspect_model(build, batch, name="model")
    found = [each for each in inspection.findings if each.check == "first_gradient"]
    assert "first_gradient" in inspection.judged.checks, str(inspection)
    return found, inspection


@pytest.mark.parametrize(
    ("build", "names", "words"),
    [
        (faulty_batch.HalfGain, ("gain",), "_HalfGain is not the derivative"),
        (faulty_batch.EluFromOutput, ("inner.weight", "inner.bias"), "_EluFromOutput is not"),
        (faulty_batch.WrongInFloat32, ("weight",), "differs from float64"),
        (faulty_batch.WrongCustomOperator, ("inner.weight", "inner.bias"), "is not the derivative"),
    ],
)
def test_a_wrong_backward_fails_at_its_parameters(build, names, words):
    (finding,), inspection = of_first_gradient(build)
    assert finding.severity == "fail"
    assert {*finding.parameters} <= {*names}
    assert words in finding.message
    assert not inspection.ok


def test_a_write_that_autograd_does_not_see_is_noted():
    (finding,), _ = of_first_gradient(faulty_batch.WritesData)
    assert finding.severity == "note"
    assert finding.parameters == ("inner.weight", "inner.bias")


NOTED = {
    "reversed": "_Reversed defines another",
    "sign": "_Sign defines another",
    "lower bound": "_LowerBound defines another",
    "straight through": "detach()",
    "detached": "detach()",
    "gumbel": "detach()",
    "data": "detach(), .data",
    "a number": "item()",
    "quantized": "fake_quantize",
}


@pytest.mark.parametrize("name", innocent_batch.FUNCTIONS)
def test_a_gradient_that_differs_on_purpose_is_noted_at_most(name):
    build = partial(innocent_batch.Between, innocent_batch.FUNCTIONS[name])
    found, inspection = of_first_gradient(build)
    assert [each.severity for each in found] == (["note"] if name in NOTED else [])
    assert all(NOTED[name] in each.message for each in found)
    assert not inspection.of_severity("fail", "warn"), str(inspection)


@pytest.mark.parametrize(
    "build",
    [
        innocent_batch.Spectral, innocent.Recurrent, innocent.dropout, innocent.bfloat16,
        innocent_batch.TransposedDropout, innocent_batch.DrawsIndices,
    ],
)  # fmt: skip
def test_buffers_recurrence_random_numbers_and_bfloat16_agree(build):
    def batch():
        inputs, labels = rows()
        return inputs.to(next(build().parameters()).dtype), labels

    found, inspection = of_first_gradient(build, batch)
    assert not found, str(inspection)
    assert not [each for each in inspection.not_judged if each.check == "first_gradient"]


def test_a_gradient_of_rounding_alone_is_a_note_of_asleep():
    inspection = inspect_model(innocent_batch.bias_before_norm, rows, name="model")
    (finding,) = inspection.findings
    assert (finding.check, finding.severity) == ("asleep", "note")
    assert finding.parameters == ("0.bias",)
    assert "rounding alone" in finding.message


def test_a_tiny_gradient_is_not_rounding_alone():
    """Its size says nothing: behind a gate of 1e-5 it is the same in float64."""
    inspection = inspect_model(partial(innocent.Residual, "layerscale"), rows, name="model")
    (finding,) = [each for each in inspection.findings if "rounding alone" in each.message]
    assert finding.parameters == ("outer.bias",)  # before batch normalization


def test_float64_parameters_stay_as_they_are():
    module = nn.Linear(8, CLASSES).double()
    before = module.weight.detach().clone()
    assert not torch.equal(directed(module.weight, 1, 0.5), before)
    assert torch.equal(module.weight, before)


def test_exact_computes_in_float64_without_a_copy():
    module = nn.Sequential(
        nn.Conv1d(1, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(),
        nn.Linear(32, CLASSES),
    )  # fmt: skip
    inputs, labels = rows()
    subject = Subject("model", lambda: module, rows)
    exact = Runner.of(subject, module, (inputs[:, None], labels)).gradients(Exact())
    assert all(each.dtype == torch.float32 for each in module.parameters())
    assert module[1].num_batches_tracked == 0
    low = Runner.of(subject, module, (inputs[:, None], labels)).gradients(SameRandom())
    wide = Runner.of(subject, module.double(), (inputs[:, None].double(), labels)).gradients(
        SameRandom()
    )
    for name, gradient in wide.summaries.items():
        if name != "0.bias":  # before batch normalization: rounding alone
            assert length(exact.summaries[name] - gradient) < 1e-7 * length(gradient)
            assert length(low.summaries[name] - gradient) > 1e-9 * length(gradient)


def test_the_length_of_a_difference_is_kept_by_its_summary():
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 300, 500, generator=generator)
    assert length(sketch(a) - sketch(b)) == pytest.approx(float((a - b).norm()), rel=0.15)


def test_flipped_bits_are_flipped_back():
    tensors = [torch.randn(70_000), torch.zeros(5), torch.randn(9).bfloat16(), torch.ones(3).half()]
    before = [each.clone() for each in tensors]
    with jittered(tensors, None, 0):
        assert not torch.equal(tensors[0], before[0])
        assert torch.equal(tensors[1], before[1])
        assert torch.allclose(tensors[0], before[0], rtol=2e-7)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def test_a_large_module_is_judged_if_it_has_its_own_backward(monkeypatch):
    monkeypatch.setattr("initcheck.inspection.first_gradient.LARGE", 10)
    plain = inspect_model(lambda: nn.Linear(8, CLASSES), rows, name="plain")
    assert any("its largest tensor and its outputs" in each.why for each in plain.not_judged)

    def several():
        return nn.Sequential(*(nn.Linear(8, 8) for _ in range(9)), nn.Linear(8, CLASSES))

    inspection = inspect_model(several, rows)
    assert "first_gradient" in inspection.judged.checks
    assert any("it takes too long" in each.why for each in inspection.not_judged)
    (finding,), _ = of_first_gradient(faulty_batch.EluFromOutput)
    assert finding.severity == "fail"


def test_a_router_that_never_learns_warns_and_its_rounding_is_no_signal():
    inspection = inspect_model(faulty_batch.RouterOfOne, rows)
    (finding,) = inspection.findings
    assert (finding.check, finding.severity) == ("asleep", "warn")
    assert finding.parameters == ("router.weight",)
    assert "rounding alone" in finding.message


class EqualExperts(nn.Module):
    """Experts that start as copies of one layer, so that the router wakes once they part."""

    def __init__(self):
        super().__init__()
        self.router, self.head = nn.Linear(8, 4), nn.Linear(8, CLASSES)
        self.experts = nn.Parameter((torch.randn(8, 8) / 3).repeat(4, 1, 1))

    def forward(self, x):
        weights = self.router(x).softmax(-1)
        return self.head(torch.einsum("bi,eij,be->bj", x, self.experts, weights))


def test_a_router_of_experts_that_start_equal_is_a_note():
    inspection = inspect_model(EqualExperts, rows)
    assert [each.check for each in inspection.of_severity("warn")] == ["distinct"]
    assert any("router.weight" in each.parameters for each in inspection.of_severity("note"))


def test_a_module_in_float64_is_judged_in_all():
    def batch():
        inputs, labels = rows()
        return inputs.double(), labels

    inspection = inspect_model(innocent_batch.double, batch)
    assert not inspection.findings, str(inspection)
    assert not inspection.not_judged, str(inspection)
    assert {"units", "signal", "start_loss", "first_gradient"} <= {*inspection.judged.checks}


@pytest.mark.parametrize(
    "hook", [lambda g: g * 0.1, lambda g: g.clamp(-1e-3, 1e-3), lambda g: g * 0, lambda g: None]
)
def test_a_hook_on_a_parameter_is_noted(hook):
    found, inspection = of_first_gradient(partial(innocent_batch.hooked, hook))
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    if hook(torch.ones(1)) is None:
        assert not found
        return
    (finding,) = found
    assert finding.parameters == ("0.weight",)
    assert "hook changes it" in finding.message
    assert "0000" not in finding.message


@pytest.mark.parametrize("tied", [False, True])
def test_the_row_of_padding_does_not_count(tied):
    build = partial(innocent_batch.Padded, tied=tied)
    found, inspection = of_first_gradient(build, innocent_batch.tokens)
    assert not found, str(inspection)


def test_a_complex_view_moves_with_its_parameter():
    found, inspection = of_first_gradient(innocent_batch.ComplexView)
    assert not found, str(inspection)
    assert not inspection.not_judged, str(inspection)


def test_what_autograd_keeps_is_no_detach():
    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    subject = Subject("model", lambda: module, rows)
    exact = Runner.of(subject, module, rows()).gradients(Exact())
    assert exact.cuts == 0


def test_lost_digits_are_named_where_the_losses_differ():
    inspection = inspect_model(faulty_batch.LosesDigits, rows)
    (why,) = [each.why for each in inspection.not_judged if each.check == "first_gradient"]
    assert "loses its digits" in why


def test_a_start_at_a_kink_is_not_judged_by_its_slope():
    inspection = inspect_model(innocent_batch.dirac, rows)
    assert not [each for each in inspection.findings if each.check == "first_gradient"]
    assert any("at a kink" in each.why for each in inspection.not_judged)


def penalized(module, batch):
    """A penalty on the gradient with respect to the inputs, as in WGAN-GP."""
    inputs = batch[0].detach().clone().requires_grad_()
    output = module(inputs)
    (gradient,) = torch.autograd.grad(output.sum(), inputs, create_graph=True)
    return output.mean() + (gradient.norm(dim=1) - 1).square().mean()


def test_a_loss_with_a_gradient_in_it_is_judged_by_its_slope():
    def build():
        return nn.Sequential(nn.Linear(8, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))

    inspection = inspect_model(build, rows, loss=penalized, name="critic")
    assert not inspection.findings, str(inspection)
    assert not [each for each in inspection.not_judged if each.check == "first_gradient"]
    inspection = inspect_model(faulty_batch.HalfGain, rows, loss=penalized)
    assert "_HalfGain is not the derivative" in str(inspection)


def test_a_decision_that_rounding_changes_is_not_judged():
    inspection = inspect_model(innocent_batch.DecidesByRounding, rows)
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    (why,) = [each.why for each in inspection.not_judged if each.what == "rounding"]
    assert "falls otherwise in float64" in why


def test_large_gradients_are_added_in_parts_as_they_are_whole():
    """In float64, also where their numbers are not next to each other in memory."""
    generator = torch.Generator().manual_seed(3)
    first, second = (torch.randn(1200, 1000, generator=generator) for _ in range(2))
    for one, other in ((first, second), (first.T, second.T), (first.double(), second)):
        kept = one.clone()
        total = sum_in_parts(one, other)
        assert total.dtype == torch.float64
        assert torch.equal(total, one.double() + other.double())
        assert torch.equal(one, kept)
