"""A comparison says which verdicts differ and how far each probe has moved."""

from __future__ import annotations

import math
from dataclasses import replace

from initcheck.report.compare import changed, compare
from tests.helpers.results import drift, drifted, example, passing, probe, refuted, result


def line(text, start):
    return next(found for found in text.splitlines() if found.strip().startswith(start)).split()


def test_shifts_are_in_recorded_deviations():
    moved = probe(treated=[0.79, 0.79])
    text = compare(
        ("A.json", example(result("a", probe()))), ("B.json", example(result("a", moved)))
    )
    assert line(text, "training_loss") == ["training_loss", "mean", "0.61", "nats", "+2", "sd"]
    assert line(text, "a[cpu]") == ["a[cpu]", "pass", "pass"]
    assert text.endswith("1 claim in all 2 files: 0 agree, 1 differ, 0 of them in the verdict")


def test_shifts_of_a_transformed_probe_are_on_that_scale():
    def run(mean):
        arm = drift(transform="log", mean=mean, recorded_std=0.5)
        return example(result("a", probe(treated=[mean * 100], drift={"treated": arm})))

    assert line(compare(("A", run(1.0)), ("B", run(0.5))), "training_loss")[-2:] == ["-1", "sd"]


def test_ranks_share_the_scale_of_plain_values():
    arms = [drift(transform=name, mean=mean) for name, mean in (("ranks", 0.7), ("identity", 0.79))]
    runs = [example(result("a", probe(drift={"treated": arm}))) for arm in arms]
    assert line(compare(("A", runs[0]), ("B", runs[1])), "training_loss")[-2:] == ["+1", "sd"]


def test_shifts_between_two_scales_are_in_the_unit():
    """A mean of logarithms less a mean of losses is neither."""

    def run(value, transform):
        arm = drift(transform=transform, mean=7.0)
        return example(result("a", probe(treated=[value], drift={"treated": arm})))

    for pair in (("log", "identity"), ("identity", "log"), ("log", None), ("ranks", "log")):
        files = [(str(v), run(v, name)) for v, name in zip((0.5, 0.25), pair, strict=True)]
        assert line(compare(*files), "training_loss")[-2:] == ["-0.25", "nats"]


def test_without_a_recording_shifts_are_in_the_unit():
    bare = [result("a", probe(treated=[value], drift={})) for value in (0.5, 0.25)]
    text = compare(("A", example(bare[0])), ("B", example(bare[1])))
    assert line(text, "training_loss") == ["training_loss", "mean", "0.5", "nats", "-0.25", "nats"]


def test_claims_in_only_some_files_are_listed():
    text = compare(
        ("A.json", example(passing(), drifted())),
        ("B.json", example(replace(passing(), verdict="invalid"), refuted())),
        ("C.json", example(passing())),
    )
    assert "only in A.json: zeroed_layer_still_learns[cpu]" in text
    assert "only in B.json: he_learns_on_cuda[cuda]" in text
    assert text.endswith("1 claim in all 3 files: 0 agree, 1 differ, 1 of them in the verdict")
    assert line(text, "he_learns") == ["he_learns_on_cuda[cuda]", "-", "refuted", "-"]


def test_a_claim_that_crashed_in_one_file_is_compared_by_verdict():
    crashed = replace(passing(), verdict="invalid", probes=[])
    text = compare(("A", example(crashed)), ("B", example(passing())))
    assert line(text, "he_beats_randn") == ["he_beats_randn[cpu]", "invalid", "pass"]
    assert line(text, "training_loss") == ["training_loss", "-", "mean", "0.61", "nats"]


def test_infinities_of_both_signs_have_no_mean():
    wild = probe(treated=[math.inf, -math.inf], drift={})
    files = [(name, example(result("a", wild))) for name in ("A", "B")]
    assert line(compare(*files, everything=True), "training_loss")[2] == "NaN"
    assert compare(*files).endswith("1 agree, 0 differ, 0 of them in the verdict")


def test_only_what_differs_is_shown_and_the_rest_is_counted():
    moved = probe(control=[2.4, 2.41, 2.4, 2.405])
    both = [result(name, probe(probe="loss")) for name in ("a", "b")]
    runs = [("A", example(*both, result("c", probe()))), ("B", example(*both, result("c", moved)))]
    text = compare(*runs)
    assert "a[cpu]" not in text
    assert "loss\n" not in text
    assert line(text, "training_loss, control")[1:] == [
        "control",
        "mean",
        "2.3",
        "nats",
        "+1.14",
        "sd",
    ]
    assert text.endswith("3 claims in all 2 files: 2 agree, 1 differ, 0 of them in the verdict")
    everything = compare(*runs, everything=True)
    assert line(everything, "a[cpu]") == ["a[cpu]", "pass", "pass"]
    assert line(everything, "loss, control")[1:] == ["control", "mean", "2.3", "nats", "0", "sd"]
    assert everything.endswith(text.splitlines()[-1])


def test_a_difference_below_a_hundredth_of_a_deviation_counts_as_equal():
    """As the last bits of every value do, after another torch has rounded them."""

    def run(shift, **known):
        arm = drift(mean=0.61 + shift * 0.09) if not known else None
        drifts = {"treated": arm, "control": drift()} if arm else {}
        return example(result("a", probe(treated=[0.61 * (1 + shift)], drift=drifts)))

    for recorded in ({}, {"bare": True}):
        agree = compare(("A", run(0.0, **recorded)), ("B", run(1e-4, **recorded)))
        assert agree.endswith("1 agree, 0 differ, 0 of them in the verdict")
        differ = compare(("A", run(0.0, **recorded)), ("B", run(0.05, **recorded)))
        assert differ.endswith("0 agree, 1 differ, 0 of them in the verdict")


def test_the_head_names_the_versions_of_each_run():
    other = example()
    versions = {"initcheck": "0.2.0", "torch": "2.15.0", "python": "3.12.1"}
    other = replace(other, environment=replace(other.environment, **versions))
    first, second, third = compare(("A", example()), ("B", other)).splitlines()[:3]
    machine = "cpu (AMD EPYC 9B14), cuda (NVIDIA H200)"
    assert first == f"A: initcheck 0.1.0, torch 2.14.1, python 3.11.2, {machine}"
    assert second == f"B: initcheck 0.2.0, torch 2.15.0, python 3.12.1, {machine}"
    assert third == ""


def with_settings(run, **settings):
    return replace(run, settings=replace(run.settings, **settings))


def test_the_head_says_in_which_settings_the_runs_differ():
    runs = [example(), with_settings(example(), salt="otter", seeds=8, fault="he_gain_one")]
    lines = compare(("A", runs[0]), ("B", runs[1])).splitlines()[2:6]
    assert lines == [
        "seeds: as each claim needs in A, 8 in B",
        "salt: none in A, otter in B",
        "fault: none in A, he_gain_one in B",
        "The runs draw other seeds, so their means differ by chance, too.",
    ]
    same = compare(("A", runs[1]), ("B", runs[1]))
    assert "otter" not in same
    assert "other seeds" not in same


def test_an_arm_that_needed_fresh_seeds_in_one_run_is_marked():
    """Unless all seeds differ, as the head says then."""
    fresh = replace(probe(treated=[0.79, 0.79]), seeds=[21, 22])
    runs = [example(result("a", one)) for one in (probe(), fresh)]
    marked = line(compare(("A", runs[0]), ("B", runs[1])), "training_loss")
    assert marked[-4:] == ["+2", "sd,", "other", "seeds"]
    salted = with_settings(runs[1], salt="otter")
    assert line(compare(("A", runs[0]), ("B", salted)), "training_loss")[-2:] == ["+2", "sd"]


def test_changed_claims_have_another_verdict_or_are_missing():
    """A claim that no longer runs must not count as unchanged."""
    red = replace(passing(), verdict="invalid")
    assert changed(example(passing(), drifted()), example(passing(), drifted())) == []
    assert changed(example(passing(), drifted()), example(red, drifted())) == [passing().id]
    assert changed(example(passing(), drifted()), example(passing())) == [drifted().id]
    assert changed(example(passing()), example(passing()), example()) == [
        one.id for one in example().results[1:]
    ]


def test_the_table_fits_its_width():
    long = result("a" * 70, probe())
    moved = result("a" * 70, probe(treated=[0.79, 0.79]))
    text = compare(("A", example(long)), ("B", example(moved)), columns=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "cuda (NVIDIA H200)" in " ".join(text.split())
