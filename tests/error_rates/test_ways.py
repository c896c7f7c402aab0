"""Whole runs are made as users make them: a mixture that a number decides, and nothing off."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace

import pytest
from scipy.stats import binomtest

from initcheck.error_rates import shuffled, ways

CHOICES = [(aspect, choice) for aspect, choices in ways.MIXTURE.items() for choice in choices]
PLAIN = {"--pyargs", "-n", "-p", "-o", "--shuffle-seed"}
PLAIN |= {f"--initcheck-{name}" for name in ("engine", "salt", "json")}


@pytest.fixture
def invocations(tmp_path):
    """The first hundred runs."""
    made = []
    for number in range(100):
        (tmp_path / str(number)).mkdir()
        made.append(ways.invocation(number, f"salt-{number}", tmp_path / str(number)))
    return made


def test_no_option_of_a_whole_run_switches_anything_off(invocations):
    """Nor selects claims, nor seeds, nor anything but how the whole gate is run."""
    for invocation in invocations:
        arguments = invocation.command[invocation.command.index("pytest") + 1 :]
        assert arguments[0] in ("benchmarks", "--pyargs", str(ways.ROOT / "benchmarks"))
        assert {word for word in arguments if word.startswith("-")} <= PLAIN
        pairs = dict(pairwise(arguments))
        assert pairs.get("-p", "initcheck.error_rates.shuffled") == "initcheck.error_rates.shuffled"
        assert pairs.get("-o", "cache_dir=").startswith("cache_dir=")
        assert pairs.get("--initcheck-engine", "module") == "module"
        assert {*invocation.variables} <= {"OMP_NUM_THREADS", "XDG_CACHE_HOME"}


def test_whole_run_inherits_no_setting_of_the_gate(invocations, monkeypatch):
    monkeypatch.setenv("INITCHECK_JUDGE", "outcomes")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k nothing")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    environment = invocations[0].environment()
    assert not {"INITCHECK_JUDGE", "PYTEST_ADDOPTS", "OMP_NUM_THREADS"} & {*environment}
    assert "PATH" in environment


def test_the_number_alone_decides_the_way():
    assert [ways.drawn(number) for number in range(50)] == [ways.drawn(n) for n in range(50)]
    assert ways.drawn(2) == {
        "processes": "one", "order": "random", "cores": "OMP_NUM_THREADS=1",
        "engine": "ensemble", "called": "elsewhere, by its path", "caches": "cold",
    }  # fmt: skip


def test_few_runs_cover_every_way():
    assert {pair for number in range(20) for pair in ways.drawn(number).items()} == {*CHOICES}


@pytest.mark.parametrize(("aspect", "choice"), CHOICES)
def test_ways_are_drawn_by_their_shares(aspect, choice):
    share = ways.MIXTURE[aspect][choice] / 100
    hits = sum(ways.drawn(number)[aspect] == choice for number in range(2000))
    assert binomtest(hits, 2000, share).pvalue > 1e-4


@pytest.mark.parametrize("choices", ways.MIXTURE.values(), ids=ways.MIXTURE.keys())
def test_shares_are_percents(choices):
    assert sum(choices.values()) == 100


def test_every_choice_shows_in_the_invocation(invocations):
    for number, invocation in enumerate(invocations):
        way, words = ways.drawn(number), invocation.command
        assert ("-n" in words) is (way["processes"] == "-n 2")
        assert ("--shuffle-seed" in words) is (way["order"] == "random")
        assert (words[0] == "taskset") is (way["cores"] == "one core (taskset)")
        one_thread = way["cores"] == "OMP_NUM_THREADS=1"
        assert (invocation.variables.get("OMP_NUM_THREADS") == "1") is one_thread
        assert ("--initcheck-engine" in words) is (way["engine"] == "module")
        assert (invocation.folder == ways.ROOT) is (way["called"] == "in the checkout")
        assert ("--pyargs" in words) is (way["called"] == "elsewhere, by --pyargs")
        assert ("XDG_CACHE_HOME" in invocation.variables) is (way["caches"] == "cold")


def test_a_run_is_shown_as_a_command_that_repeats_it():
    way = ways.drawn(2)
    assert ways.shown(way, 2, "suite-1-2") == (
        "OMP_NUM_THREADS=1 pytest benchmarks -p initcheck.error_rates.shuffled --shuffle-seed 2 "
        "--initcheck-salt suite-1-2"
    )


def test_order_is_drawn_from_the_seed():
    def order(seed):
        items = list(range(30))
        config = SimpleNamespace(getoption={"shuffle_seed": seed}.__getitem__)
        shuffled.pytest_collection_modifyitems(config, items)
        return items

    assert order(None) == list(range(30))
    assert order(1) == order(1) != order(2)
    assert Counter(order(1)) == Counter(range(30))


def test_the_documented_mixture_is_the_drawn_one():
    page = (ways.ROOT / "docs" / "error-rates.md").read_text(encoding="utf-8").replace("`", "")
    for aspect, choices in ways.MIXTURE.items():
        shares = "; ".join(f"{choice}: {share} %" for choice, share in choices.items())
        assert f"| {aspect} | {shares} |" in page
