"""Check ``recorded_start``: the same bits, another draw, another law."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection import InspectionError
from initcheck.inspection.fans import moments
from initcheck.inspection.fingerprints import fingerprint, other_law
from initcheck.inspection.laws import Measured
from initcheck.inspection.tensors import Named
from tests.inspection import innocent
from tests.inspection.faulty import nan_from_the_start


@pytest.fixture
def file(tmp_path):
    return tmp_path / "start.json"


def findings(first, second, file, **more):
    """Record the first build, and compare the second with it."""
    inspect_model(first, record=file, name="model")
    found = inspect_model(second, against=file, name="model", **more)
    assert "recorded_start" in found.judged.checks, str(found)
    return [each for each in found.findings if each.check == "recorded_start"]


def layers(*, width=32, std=None, gain=None, extra=False, before=0):
    """Two layers and a norm, with changes."""
    torch.rand(before)
    module = nn.Sequential(nn.Linear(width, 32), nn.LayerNorm(32), nn.Linear(32, 32))
    if std is not None:
        nn.init.normal_(module[2].weight, std=std)
    if gain is not None:
        nn.init.constant_(module[1].weight, gain)
    if extra:
        module.append(nn.Linear(32, 4, bias=False))
    return module


def test_the_same_bits_are_silent(file):
    assert findings(layers, layers, file) == []


ODD = (
    innocent.bfloat16, innocent.SineTable, innocent.orthogonal, innocent.Recurrent, innocent.Tied,
    nan_from_the_start,
)  # fmt: skip


@pytest.mark.parametrize("start", ODD)
def test_the_same_bits_of_odd_starts_are_silent(start, file):
    assert findings(start, start, file) == []


def test_another_draw_is_a_note(file):
    (finding,) = findings(layers, partial(layers, before=3), file)
    assert finding.severity == "note"
    assert "4 of 6 tensors have other bits" in finding.message


CHANGES = {
    "another law": ({"std": 0.02}, "2.weight", "Another law: the standard deviation was 0.1"),
    "the same variance, but normal": (
        {"std": (1 / 96) ** 0.5}, "2.weight", "Another law: the shape of the law is another",
    ),
    "another constant": ({"gain": 0.1}, "1.weight", "it was constant 1 and is constant 0.1"),
    "zero": ({"std": 0.0}, "2.weight", "it was torch's default, 1/3 / fan-in and is zero"),
    "another shape": ({"width": 16}, "0.weight", "(32, 32) and float32; now it is (32, 16)"),
    "a new tensor": ({"extra": True}, "3.weight", "1 tensors are not in the record"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_fails_with_its_name(change, file):
    options, name, message = CHANGES[change]
    failing = [each for each in findings(layers, partial(layers, **options), file)
               if each.severity == "fail"]  # fmt: skip
    assert [each.parameters for each in failing] == [(name,)]
    assert message in failing[0].message


def test_a_missing_tensor_fails_with_its_name(file):
    (finding,) = findings(partial(layers, extra=True), layers, file)
    assert (finding.severity, finding.parameters) == ("fail", ("3.weight",))


def _spread():
    """A layer whose variance is itself random."""
    module = nn.Linear(64, 64)
    with torch.no_grad():
        module.weight.mul_(10 * torch.rand(()))
    return module


def test_a_law_that_varies_with_the_seed_is_a_note(file):
    def moved():
        torch.rand(1)
        return _spread()

    (finding,) = findings(_spread, moved, file)
    assert finding.severity == "note"


# --- rates ----------------------------------------------------------------------------------------


def _sparse(tensor):
    return nn.init.sparse_(tensor, 0.8)


def _copied_rows(tensor):
    """As ICNR draws: each row sixteen times."""
    few = torch.randn(len(tensor) // 16, tensor.shape[1])
    return tensor.copy_(few.repeat_interleave(16, 0))


DRAWS = {
    "normal": nn.init.normal_,
    "uniform": nn.init.xavier_uniform_,
    "truncated": nn.init.trunc_normal_,
    "orthogonal": nn.init.orthogonal_,
    "sparse": _sparse,
    "copied rows": _copied_rows,
    "Laplace": lambda tensor: tensor.exponential_().mul_(torch.randint(0, 2, tensor.shape) * 2 - 1),
    "signs": lambda tensor: tensor.copy_(torch.randint(0, 2, tensor.shape) * 2 - 1),
}  # fmt: skip
ALPHA = 0.03


def _fingerprints(draw, dtype, edges=()):
    tensor = torch.empty(64, 48, dtype=dtype)
    with torch.no_grad():
        draw(tensor)
    named = Named("weight", tensor, nn.Linear(48, 64), "", parameter=True)
    return fingerprint(named, Measured(moments(named), "law"), edges)


@pytest.mark.parametrize("law", DRAWS)
def test_two_draws_of_one_law_are_told_apart_no_more_often_than_stated(law):
    """At the level 0.03, of 400 pairs at most 24 differ: three times the error of a share."""
    torch.manual_seed(3)
    told = 0
    for _ in range(400):
        first = _fingerprints(DRAWS[law], torch.float32)
        second = _fingerprints(DRAWS[law], torch.float32, first.edges)
        told += bool(other_law(first, second, alpha=ALPHA))
    assert told <= 24


def test_rounding_to_bfloat16_adds_no_false_alarms():
    torch.manual_seed(4)
    told = 0
    for _ in range(400):
        first = _fingerprints(nn.init.normal_, torch.bfloat16)
        second = _fingerprints(nn.init.normal_, torch.bfloat16, first.edges)
        told += bool(other_law(first, second, alpha=ALPHA))
    assert told <= 24


@pytest.mark.parametrize("law", ["normal", "truncated", "Laplace"])
def test_laws_of_one_variance_are_told_apart(law):
    """The uniform law with the same variance and mean, from 3,072 entries, at the stated level."""
    torch.manual_seed(5)

    def standard(draw, tensor):
        draw(tensor)
        return tensor.sub_(tensor.mean()).div_(tensor.std())

    first = _fingerprints(partial(standard, DRAWS[law]), torch.float32)
    second = _fingerprints(partial(standard, DRAWS["uniform"]), torch.float32, first.edges)
    assert "shape of the law" in other_law(first, second, alpha=1e-4)


# --- the file -------------------------------------------------------------------------------------


def _damage(change):
    def damaged(text):
        data = json.loads(text)
        change(data)
        return json.dumps(data)

    return damaged


def _first(**changes):
    return _damage(lambda data: next(iter(data["tensors"].values())).update(changes))


DAMAGES = {
    "cut": (lambda text: text[: len(text) // 2], "is not JSON at line"),
    "empty": (lambda text: "", "is not JSON at line 1"),
    "no number": (lambda text: text.replace('"mean": ', '"mean": NaN, "was": ', 1), "a bare NaN"),
    "a list": (lambda text: "[]", "is not a recorded start"),
    "another schema": (_damage(lambda data: data.update(schema=9)), "has schema 9"),
    "no tensors": (_damage(lambda data: data.update(tensors={})), "has no tensors"),
    "tensors in a list": (_damage(lambda data: data.update(tensors=[1])), "is damaged"),
    "a digest that is none": (_first(digest="xyz"), "is damaged"),
    "no shape": (_first(shape=None), "is damaged"),
    "no moments": (_first(moments={"count": 3}), "is damaged"),
    "half a histogram": (_first(counts=[1, 2]), "a histogram that does not fit"),
    "a negative variance": (
        _first(moments={"count": 3, "mean": 0, "variance": -1, "kurtosis": 3, "low": 0, "high": 1}),
        "moments that no tensor has",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_in_a_sentence(damage, file):
    change, sentence = DAMAGES[damage]
    inspect_model(layers, record=file, name="model")
    file.write_text(change(file.read_text()))
    with pytest.raises(InspectionError) as error:
        inspect_model(layers, against=file, name="model")
    assert sentence in str(error.value)
    assert f"initcheck inspect MODULE:FUNCTION --record {file}" in str(error.value)


def test_a_missing_file_is_refused(file):
    with pytest.raises(InspectionError, match="There is no recorded start"):
        inspect_model(layers, against=file)


def test_a_build_that_fails_leaves_the_record_as_it_was(file):
    inspect_model(layers, record=file, name="model")
    before = file.read_text()
    with pytest.raises(InspectionError):
        inspect_model(lambda: None, record=file)
    assert file.read_text() == before


def test_the_record_does_not_depend_on_the_time(file, tmp_path):
    inspect_model(layers, record=file, name="model")
    inspect_model(layers, record=tmp_path / "again.json", name="model")
    assert file.read_bytes() == (tmp_path / "again.json").read_bytes()
