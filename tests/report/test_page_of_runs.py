"""A page of several runs: a matrix, each result once, and what is not drawn of which run."""

from __future__ import annotations

import re
from dataclasses import replace

from initcheck.gate.pictures import DRAWINGS
from initcheck.report.html import page
from initcheck.report.omitted import DRAWN_WITH, sentences
from initcheck.results import INTERRUPTED
from tests.helpers.recorded_runs import good
from tests.helpers.results import drift, example, passing, probe, refuted, result


def test_each_cell_of_the_matrix_has_r_in_words_and_a_shade():
    def cells(*ratios):
        runs = []
        for r in ratios:
            arms = {"treated": drift(r=r), "control": drift(r=None)}
            runs.append(example(result("a", probe(drift=arms))))
        return re.findall(r"<td( class=\"[\w-]+\")? data-of=.*?</td>", page(*runs))

    assert cells(0.0, 0.4, 3.2, None) == ["", ' class="shade1"', ' class="shade2"', ""]
    red = page(example(refuted()), example(replace(refuted(), verdict="drifted")))
    assert re.findall(r'<td class="(\w+-cell)"', red) == ["refuted-cell", "drifted-cell"]
    both = page(example(passing()), example(result("b", probe(drift={}))))
    assert "pass</span> <small>r&nbsp;1.3</small>" in both
    assert '<td data-of="run 2"><span class="verdict pass">pass</span></td>' in both


def test_columns_are_named_by_what_tells_them_apart():
    devices = [result("a", probe(), device=device) for device in ("cpu", "cuda")]
    assert 'data-of="cuda"' in page(example(*devices))
    assert 'data-of="run 2 cuda"' in page(example(*devices), example(*devices))


def test_one_device_and_run_needs_no_matrix():
    assert 'id="matrix"' not in page(example(passing()))
    text = page(example(passing()), example(passing()))
    assert "The claim passes in every column." in text


def test_a_claim_that_a_run_did_not_judge_is_a_dash_that_is_explained():
    text = page(example(passing(), refuted()), example(passing()))
    assert '<td data-of="run 2 cpu">-</td>' in text
    assert "A dash is a claim that was not judged there." in text


def test_a_claim_that_is_red_in_two_runs_names_both():
    shown = page(example(refuted()), example(replace(refuted(), verdict="drifted")))
    assert "run 1, also drifted on " in shown
    assert "also" not in page(example(refuted()), example(replace(refuted(), verdict="pass")))


def test_runs_stand_side_by_side():
    crashed = replace(passing(), verdict="invalid", probes=[], message="it crashed")
    other = example(crashed)
    other = replace(other, environment=replace(other.environment, torch="2.15.0"))
    text = page(example(passing()), other)
    assert '<td data-of="run 1">2.14.1</td><td data-of="run 2">2.15.0</td>' in text
    assert '<td colspan="2" data-of="all runs">0.29.1</td>' in text
    assert text.count('<details id="') == 1
    assert "cpu · run 2" in text
    assert "it crashed" in text


def test_an_equal_result_of_another_run_is_named_and_not_repeated():
    text = page(example(passing()), example(replace(passing(), seconds=99.0)))
    assert "<small>the same on cpu · run 2</small>" in text
    assert text.count('<div class="probe">') == len(passing().probes)
    runs = [example(result("a", probe(treated=[value] * 4))) for value in (0.5, 0.6)]
    assert page(*runs).count('<div class="probe">') == 2


def test_on_a_page_of_many_results_the_gravest_is_whole_and_no_reason_is_lost():
    def results(*value):
        many = [result(f"c{n}", probe(treated=[*value] * 4)) for n in range(60)]
        return [*many, replace(refuted(), probes=[probe("refuted", reason=f"by {value[0]}")])]

    text = page(*(example(*results(value)) for value in (0.5, 0.6, 0.7)))
    assert text.count('<div class="probe">') == 61
    assert "training_loss: treated 0.7, control 2.29..2.31, limit &lt;= 1.2, margin" in text
    for value in (0.5, 0.6, 0.7):
        assert f"By {value}." in text


# --- pictures that are not drawn ------------------------------------------------------------------


def test_a_run_without_a_picture_says_which_why_and_how():
    run = good()
    one = replace(run, pictures=[p for p in run.pictures if p.name != "waking_layers"])
    two = replace(run, pictures=[], settings=replace(run.settings, pictures=False))
    three = replace(two, exit_status=INTERRUPTED, results=run.results[:1])
    texts = [" ".join(said) for said in sentences([run, one, two, three], ["A", "B", "C", "D"])]
    assert [text[0] for text in texts] == ["B", "C", "D", "D"]
    assert texts[0] == (
        "B: 1 picture not drawn (waking_layers). The file of this run has no table of it. "
        "pytest benchmarks/test_layers_wake_in_turn.py --initcheck-html report.html"
    )
    assert "The run was made without pictures." in texts[1]
    assert "The run was interrupted" in texts[2]
    assert "No claim on their mechanisms was judged." in texts[3]
    assert sentences([example(passing())], []) == []


def test_a_picture_names_the_runs_that_lack_it():
    run = good()
    other = replace(run, pictures=[p for p in run.pictures if p.name != "waking_layers"])
    text = page(run, other)
    figure = text[text.index('<figure id="waking_layers"') :]
    figure = figure[: figure.index("</figure>")]
    assert re.findall(r'<p class="run">(.*?)</p>', figure) == [
        "run 1, torch 2.14.1 · cpu",
        'run 2, torch 2.14.1: not drawn. <a href="#not-drawn">Why</a>',
    ]
    assert '<ul id="not-drawn"' in text
    assert 'id="not-drawn"' not in page(run)


def test_what_is_drawn_with_which_mechanism_is_what_the_gate_draws():
    assert {name: each.mechanisms for name, each in DRAWINGS.items()} == DRAWN_WITH
