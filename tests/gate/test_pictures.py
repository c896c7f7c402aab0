"""Pictures are drawn from trained arms, show the mechanism they name, and cost little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from initcheck import faults
from initcheck.arms import Arm
from initcheck.baselines.folder import Baselines
from initcheck.gate import pictured_layers as layers
from initcheck.gate import pictured_symmetry as symmetry
from initcheck.gate import pictured_training as training
from initcheck.gate import pictures
from initcheck.gate.pictured import Drawing, NoPictureError, Source
from initcheck.gate.pictured_rounding import rounding_envelope
from initcheck.networks import NetworkError
from initcheck.report.pictures import PLOTS

ROOT = Path(__file__).parents[2]
MECHANISMS = {
    path.stem.removeprefix("test_").replace("_", " ")
    for path in (ROOT / "benchmarks").glob("test_*.py")
}


def test_every_picture_has_a_plot_and_belongs_to_claims_that_exist():
    assert set(pictures.DRAWINGS) == set(PLOTS) == set(pictures.ORDER)
    for drawing in pictures.DRAWINGS.values():
        assert drawing.mechanisms
        assert set(drawing.mechanisms) <= MECHANISMS


def test_layers_wake_one_after_another():
    table = layers.waking_layers(Source())
    woken = table[(table["start"] != "torch's default") & (table["distance"] > 0)]
    first = woken.groupby("layer")["step"].min()
    assert dict(first) == {"output": 1, "hidden3": 2, "hidden2": 3, "hidden1": 4}
    assert "output at step 1, hidden3 at step 2" in layers._waking_text(table)


def test_equal_units_stay_equal_and_do_not_learn_and_noise_does_both():
    table = symmetry.equal_units(Source())
    last = table[table["step"] == table["step"].max()].set_index(["start", "measure"])["mean"]
    for start in ("all zero", "all one"):
        rows = table[(table["start"] == start) & (table["measure"] == symmetry.APART)]
        assert rows["step"].to_list()[0] == 0
        assert rows["highest"].max() <= 1e-6  # the limit of the claims on all-one networks
        assert last[start, symmetry.LEARNT] < 0.12
    noisy, drawn = "zero with noise of 0.01", "random (torch's default)"
    first = table[table["step"] == 0].set_index(["start", "measure"])["mean"]
    assert 0 < first[noisy, symmetry.APART] < 0.1 < last[noisy, symmetry.APART]
    assert 0.3 < last[noisy, symmetry.LEARNT] < last[drawn, symmetry.LEARNT]
    assert "all zero 0 and 0.1," in symmetry._text(table)


def test_under_a_fault_the_zeros_of_the_first_picture_are_no_zeros():
    with faults.find("zeros_with_noise").apply():
        table = symmetry.equal_units(Source())
    zero = table[(table["start"] == "all zero") & (table["measure"] == symmetry.APART)]
    assert zero["lowest"].min() > 0


def test_only_he_keeps_the_signal():
    table = layers.signal_over_depth(Source())
    last = table[(table["measure"] == "signal") & (table["layer"] == layers.DEPTH)]
    means = dict(zip(last["start"], last["mean"], strict=True))
    assert 0.01 < means["He (variance 2 / n)"] < 1
    assert means["LeCun (1 / n)"] < 1e-4
    assert means["4 / n"] > 100


def test_attention_without_skips_makes_tokens_equal():
    table = layers.attention_rank(Source()).set_index(["skips", "depth"])["mean"]
    assert table["with skips", 8] > 0.1
    assert table["without skips", 8] < 1e-6


def test_one_rate_moves_a_wide_network_more():
    table = training.width_transfer(Source()).set_index(["rates", "width"])["mean"]
    assert table["one rate", 512] > 2 * table["one rate", 64]
    assert table["muP's rates", 512] < 1.3 * table["muP's rates", 64]


def test_zeroed_layer_keeps_an_atom_and_shares_add_up_to_one():
    table = training.weight_histograms(Source())
    sums = table.groupby("start")["share"].sum()
    assert sums.to_list() == pytest.approx([1, 1, 1])
    atoms = table[table["low"] == table["high"]].set_index("start")["share"]
    assert atoms["torch's default"] == 0
    assert 0.3 < atoms["hidden1 zero"] < 0.8
    assert atoms["all zero"] == 1


def test_a_run_is_inside_its_envelope_and_a_lower_rate_is_outside():
    table = rounding_envelope(Source(baselines=Baselines(ROOT / "baselines")))
    largest = table.groupby("run")["r"].max()
    assert largest["this run"] <= 10
    assert largest["in float64"] <= 10
    assert largest["learning rate lower by 0.1 %"] > 100


def test_without_evidence_the_picture_says_how_to_record_it():
    (picture,) = pictures.pictures(Source(), {"first steps"})
    assert (picture.name, picture.rows) == ("rounding_envelope", [])
    assert picture.text.startswith("Not drawn: There is no evidence of the claim zeroed_hidden")
    assert "--initcheck-record" in picture.text


def test_under_a_fault_a_picture_shows_the_faulty_run():
    with faults.find("zeros_with_noise").apply():
        table = layers.waking_layers(Source())
    assert table[table["step"] == 1]["distance"].min() > 0


def test_only_pictures_of_the_mechanisms_are_drawn_with_rounded_numbers():
    drawn = pictures.pictures(Source(), {"attention", "no mechanism"})
    (picture,) = drawn
    assert picture.name == "attention_rank"
    assert picture.columns == ["skips", "depth", "mean", "lowest", "highest"]
    assert len(picture.rows) == 12
    for row in picture.rows:
        assert all(value == float(f"{value:.4g}") for value in row[2:])
    assert pictures.pictures(Source(), {"no mechanism"}) == []


def test_arms_that_are_already_trained_are_not_trained_again(monkeypatch):
    source = Source()
    arm = Arm(training.SMALL, training.he, replace(training.CURVE_RECIPE, keep_at=(), keep=()))
    first = source.trained(arm)
    monkeypatch.setattr(source.laboratory, "train_together", None)
    assert source.together([arm])[0].losses is first.losses


def test_an_error_with_a_sentence_is_the_text_of_the_picture(monkeypatch):
    def broken(source):
        raise NetworkError("The network has no weights.")

    drawing = Drawing("waking_layers", "title", ("symmetry",), broken, str, "Because.")
    monkeypatch.setattr(pictures, "DRAWINGS", {"waking_layers": drawing})
    (picture,) = pictures.pictures(Source())
    assert picture.text == "Not drawn: The network has no weights."


def test_an_unknown_picture_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no picture 'curves'.*learning_curves,"):
        pictures.frame("curves")
    with pytest.raises(NoPictureError):
        pictures.frame("rounding_envelope")
