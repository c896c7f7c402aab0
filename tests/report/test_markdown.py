"""What a pull request shows is complete, or says that it is not."""

from __future__ import annotations

from dataclasses import replace

from initcheck.report.markdown import annotations, summary
from tests.helpers.results import example, inconclusive, invalid, passing, probe, refuted, result

MIB = 1024 * 1024


def test_the_summary_counts_and_lists_the_failing_claims_first():
    text = summary(example())
    assert "1 pass, 1 inconclusive, 1 drifted, 2 refuted, 1 invalid" in text.splitlines()[0]
    assert text.count("<details>") == 5
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[2].startswith("|invalid|<code>deep")
    assert rows[-2].startswith("|pass|<code>he")
    assert "left out" not in text


def test_the_summary_of_thousands_of_claims_stays_under_a_mebibyte():
    red = [replace(refuted(), claim=f"claim_{n}", id=f"claim_{n}[cuda]") for n in range(2500)]
    text = summary(example(*red, *(passing() for _ in range(2500))))
    assert len(text.encode()) < MIB
    assert "failing claims are left out here" in text
    assert "lines of the table are left out here" in text


def test_a_crash_of_any_length_and_script_fits():
    text = summary(example(result("crashed", message="é" * MIB)))
    assert len(text.encode()) < 50_000
    assert "(the rest is left out)" in text


def test_texts_of_claims_change_neither_the_table_nor_the_page():
    claim = result("a|b", probe("refuted", why="</pre><script>", case="x|`y`"), probe(case="<i>|*"))
    text = summary(example(claim))
    assert "<script>" not in text
    assert "<i>" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {9}


def test_rows_name_the_parameters_of_a_claim():
    both = [probe(), probe(probe="test_accuracy")]
    text = summary(example(*(result("a", *both, parameters=name) for name in ("relu", "tanh"))))
    rows = [line for line in text.splitlines() if line.startswith("|pass")]
    assert len(rows) == len(set(rows)) == 4
    for name in ("relu", "tanh"):
        for title in ("training\\_loss", "test\\_accuracy"):
            assert f"|pass|<code>a\\[{name}-cpu\\]</code>|{title}|" in text


def test_a_claim_that_no_comparison_explains_has_a_row():
    text = summary(example(replace(passing(), verdict="invalid"), result("crashed")))
    assert "|invalid|<code>he\\_beats\\_randn\\[cpu\\]</code>|-|" in text
    assert "|invalid|<code>crashed\\[cpu\\]</code>|-|" in text


def test_what_limits_a_run_comes_first():
    run = example(passing())
    run = replace(run, settings=replace(run.settings, fault="he_gain_one", judge="record"))
    lines = summary(run).splitlines()
    assert lines[2] == "**FAULT he\\_gain\\_one is seeded: this run must fail.**"
    assert lines[4].startswith("**Only a part is judged")
    assert "**" not in summary(example(passing()))


def test_annotations_are_ten_at_most_and_worst_first():
    lines = annotations(example(*(inconclusive() for _ in range(12)), invalid()))
    assert len(lines) == 10
    assert lines[0].startswith("::error title=invalid deep_relu_network_trains[cpu]::")
    assert "4 more claims are not green" in lines[-1]
    assert len(annotations(example(*(inconclusive() for _ in range(10))))) == 10


def test_annotations_are_one_line_each():
    claim = result("a", probe("refuted", reason="100 %\nsure"), device="cuda:0,1")
    (line,) = annotations(example(claim))
    assert line.startswith("::error title=refuted a[cuda%3A0%2C1]::training_loss: 100 %25%0Asure.")
    assert "\n" not in line


def test_a_green_run_has_no_annotations_and_no_details():
    assert annotations(example(passing())) == []
    assert "<details>" not in summary(example(passing()))
