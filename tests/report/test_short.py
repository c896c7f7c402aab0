"""The end of a run of many claims that all pass is short and says what a first reader asks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initcheck.report import terminal
from initcheck.results import NotJudged
from tests.helpers.results import CONTRACT, drift, example, passing, probe, refuted, result

FULL = "runs at full scale only: --initcheck-scale full"


def green(count=20, **more):
    """A run whose claims pass, each closer to its limit than the next."""
    claims = [
        result(
            f"claim_{n}", probe(limit={"max": 1.2 + n}, margin_unit="units", **more),
            node=f"benchmarks/test_{'ab'[n % 2]}.py::test_claim_{n}", seconds=float(n),
        )
        for n in range(count)
    ]  # fmt: skip
    run = example(*claims)
    return replace(run, settings=replace(run.settings, contract=CONTRACT))


def told(run, columns=100):
    return terminal.ending(run, columns=columns)


def words(run):
    return " ".join(" ".join(told(run)).split())


def test_a_green_run_ends_in_about_ten_lines():
    lost = [NotJudged(id=f"x{n}", reason=FULL, skipped=True) for n in range(3)]
    lines = told(replace(green(), not_judged=lost))
    assert 7 <= len(lines) <= 12
    assert lines[0].startswith("20 claims in 2 mechanisms on cpu, 20 comparisons, 190 s: all pass")


def test_it_says_how_many_pass_what_was_skipped_and_where_to_look():
    lost = [NotJudged(id=f"x{n}", reason=FULL, skipped=True) for n in range(3)]
    text = words(replace(green(), not_judged=lost))
    assert "closest claim_0[cpu]: training_loss 0.55..0.7, limit <= 1.2 nats" in text
    assert f"skipped 3 claims: {FULL}" in text
    assert (
        "40 of 40 arms could be compared with their recorded training: the farthest is 1.3 " in text
    )
    assert "initcheck explain NAME" in text
    assert CONTRACT.partition(": ")[2] in text


def test_it_names_the_page_that_was_written_or_the_option_that_writes_one():
    run = green()
    assert "--initcheck-html page.html writes a page" in words(run)
    written = words(replace(run, settings=replace(run.settings, html="out/page.html")))
    assert "open out/page.html in a browser" in written
    assert "--initcheck-html" not in written


def test_a_long_reason_is_cut_after_its_first_sentence():
    lost = [NotJudged(id="x", reason="There is no folder. Name one, or download.", skipped=True)]
    text = words(replace(green(), not_judged=lost))
    assert "skipped 1 claim: There is no folder; -rs says what to do look next" in text


def test_the_closest_are_of_different_claims():
    near = [
        result("near", probe(limit={"max": 0.71}, margin_unit="units"), parameters=name)
        for name in "ab"
    ]
    run = green()
    lines = "\n".join(told(replace(run, results=[*near, *run.results])))
    assert lines.count("closest      near[") == 1
    assert lines.count("closest") == 2


def test_it_says_if_no_arm_was_compared():
    """Then training may have changed: a green run says less."""
    text = words(green(drift={"treated": drift(r=None), "control": drift(r=None)}))
    assert "no arm could be compared with a recorded trajectory" in text


def test_arms_that_follow_their_record_exactly_are_said_to():
    text = words(green(drift={"treated": drift(r=0.0)}))
    assert (
        "20 of 20 arms could be compared with their recorded training: each is the same bit" in text
    )


@pytest.mark.parametrize(("mean", "shown"), [(0.61, False), (0.8, True)])
def test_a_shift_of_many_arms_is_shown(mean, shown):
    arms = {"treated": drift(mean=mean)}
    assert ("advisory, gates nothing" in words(green(drift=arms))) is shown


def test_a_red_or_unfinished_run_shows_its_table():
    red = replace(green(), results=[*green().results, refuted()])
    lost = replace(green(), not_judged=[NotJudged(id="x", reason="the run ended")])
    for run in (red, lost):
        assert any(line.startswith("verdicts: 20 pass") for line in told(run))
    assert "2 other mechanisms: pass" in told(red)


def test_a_short_run_and_a_verbose_one_show_their_table():
    assert "verdicts: 1 pass" in told(example(passing()))
    verbose = terminal.ending(green(), verbose=True)
    assert sum(line.startswith("claim_") for line in verbose) == 20


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_it_fits_and_is_plain(columns):
    lost = [NotJudged(id="größe", reason="größer", skipped=True)]
    lines = told(replace(green(unit="größe", case="a case " * 30), not_judged=lost), columns)
    assert max(map(len, lines)) <= columns
    assert all(line.isascii() for line in lines)
