"""`--initcheck-seeds`: replicas an arm and stage."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0", "0 seeds would judge nothing. Give 1 or more."),
        ("-3", "-3 seeds would judge nothing. Give 1 or more."),
        ("many", "'many' is not a whole number. Give 1 or more seeds."),
        ("9" * 20, f"{'9' * 20} seeds fit into the memory of no machine. Give 100000 at most."),
        ("2.5", "'2.5' is not a whole number. Give 1 or more seeds."),
    ],
)
def test_bad_count_is_refused(project, text, sentence):
    result = project.run(f"--initcheck-seeds={text}")
    assert result.ret == 4
    assert f"--initcheck-seeds: {sentence}" in result.text


def test_bad_count_in_a_variable_names_the_variable(project, monkeypatch):
    monkeypatch.setenv("INITCHECK_SEEDS", "none")
    result = project.run()
    assert result.ret == 4
    assert "INITCHECK_SEEDS: 'none' is not" in result.text


@pytest.mark.parametrize(("option", "count"), [((), 4), (("--initcheck-seeds=2",), 2)])
def test_count_is_that_of_the_values(project, option, count):
    (result,) = project.results(*option, "--initcheck-device=cpu")
    (probe,) = result["probes"]
    assert [len(probe[name]) for name in ("seeds", "treated", "control")] == [count] * 3
