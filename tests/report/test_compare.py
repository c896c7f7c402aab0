"""A comparison says which verdicts differ and how far each probe has moved."""

from __future__ import annotations

import math

from initcheck.report.compare import compare
from tests.helpers.results import drift, drifted, example, passing, probe, refuted, result


def line(text, start):
    return next(found for found in text.splitlines() if found.strip().startswith(start)).split()


def test_shifts_are_in_recorded_deviations():
    moved = probe(treated=[0.79, 0.79])
    text = compare(
        ("A.json", example(result("a", probe()))), ("B.json", example(result("a", moved)))
    )
    assert line(text, "training_loss") == ["training_loss", "0.61", "+2", "s"]
    assert line(text, "a[cpu]") == ["a[cpu]", "pass", "pass"]
    assert text.endswith("1 claims in all 2 files, 0 with another verdict")


def test_shifts_of_a_transformed_probe_are_on_that_scale():
    def run(mean):
        arm = drift(transform="log", mean=mean, recorded_std=0.5)
        return example(result("a", probe(treated=[mean * 100], drift={"treated": arm})))

    assert line(compare(("A", run(1.0)), ("B", run(0.5))), "training_loss")[2:] == ["-1", "s"]


def test_ranks_share_the_scale_of_plain_values():
    arms = [drift(transform=name, mean=mean) for name, mean in (("ranks", 0.7), ("identity", 0.79))]
    runs = [example(result("a", probe(drift={"treated": arm}))) for arm in arms]
    assert line(compare(("A", runs[0]), ("B", runs[1])), "training_loss")[2:] == ["+1", "s"]


def test_shifts_between_two_scales_are_in_the_unit():
    """A mean of logarithms less a mean of losses is neither."""

    def run(value, transform):
        arm = drift(transform=transform, mean=7.0)
        return example(result("a", probe(treated=[value], drift={"treated": arm})))

    for pair in (("log", "identity"), ("identity", "log"), ("log", None), ("ranks", "log")):
        files = [(str(v), run(v, name)) for v, name in zip((0.5, 0.25), pair, strict=True)]
        assert line(compare(*files), "training_loss")[2:] == ["-0.25", "nats"]


def test_without_a_recording_shifts_are_in_the_unit():
    bare = [result("a", probe(treated=[value], drift={})) for value in (0.5, 0.25)]
    text = compare(("A", example(bare[0])), ("B", example(bare[1])))
    assert line(text, "training_loss") == ["training_loss", "0.5", "-0.25", "nats"]


def test_claims_in_only_some_files_are_listed():
    text = compare(
        ("A.json", example(passing(), drifted())),
        ("B.json", example(passing() | {"verdict": "invalid"}, refuted())),
        ("C.json", example(passing())),
    )
    assert "only in A.json: zeroed_layer_still_learns[cpu]" in text
    assert "only in B.json: he_learns_on_cuda[cuda]" in text
    assert text.endswith("1 claims in all 3 files, 1 with another verdict")
    assert line(text, "he_learns") == ["he_learns_on_cuda[cuda]", "-", "refuted", "-"]


def test_a_claim_that_crashed_in_one_file_is_compared_by_verdict():
    crashed = passing() | {"verdict": "invalid", "probes": []}
    text = compare(("A", example(crashed)), ("B", example(passing())))
    assert line(text, "he_beats_randn") == ["he_beats_randn[cpu]", "invalid", "pass"]
    assert line(text, "training_loss") == ["training_loss", "-", "0.61"]


def test_infinities_of_both_signs_have_no_mean():
    wild = probe(treated=[math.inf, -math.inf], drift={})
    files = [(name, example(result("a", wild))) for name in ("A", "B")]
    assert line(compare(*files), "training_loss")[1] == "NaN"
