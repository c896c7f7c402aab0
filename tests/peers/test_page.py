"""RESULTS.md, written from made-up seconds whose medians and ratios are known."""

import copy

import pytest

from benchmarks.peers import agreement, goals, names, page

SECONDS = {  # per round, on one core; one process per core takes half
    names.NOTEBOOK: [16.0, 18.0, 20.0],
    names.PLAIN: [6.0, 7.0, 8.0],
    names.VMAP: [3.0, 3.0, 3.0],
    names.JAX[0]: [2.5, 2.5, 2.5],
    names.JAX[1]: [1.8, 2.2, 2.2],
    names.SCIKIT_LEARN: [5.0, 5.0, 5.0],
    names.SKORCH: [25.0, 25.0, 25.0],
    names.MODULE: [8.0, 8.0, 8.0],
    names.OURS: [2.0, 2.0, 2.0],
    names.PRODUCTS: [0.75, 0.75, 0.75],
    names.TRAFFIC: [0.75, 0.75, 0.75],
}
ENVIRONMENT = {
    "date": "2026-01-02", "hardware": "Abacus", "capability": "BEADS", "cores": 2,
    "platform": "Desk", "python": "3.11", "versions": {"torch": "2.14.1"},
}  # fmt: skip


def trained(first_layer):
    def layout(tools, factor):
        return {
            tool: {
                "seconds": [factor * s for s in SECONDS[tool]],
                "distance": None if tool in names.BOUNDS else [1e-7, 1e-5],
            }
            for tool in tools
        }

    few = (names.NOTEBOOK, names.PLAIN, names.VMAP, *names.JAX, names.OURS)
    return {
        "job": {
            "widths": [784, first_layer, 10], "optimizer": "Adam", "batch": 32, "steps": 50,
            "seeds": list(range(4)),
        },
        "layouts": {
            names.ONE_CORE: layout(SECONDS, 1.0),
            names.EACH_CORE: layout(SECONDS, 0.5),
            names.FREE: layout(few, 0.8),
        },
    }  # fmt: skip


@pytest.fixture
def results():
    ranks = {tool: {"seconds": [2.0, 2.0], "found": [[784]]} for tool in names.NUMPY}
    ranks[names.OURS] = {"seconds": [0.4, 0.4], "found": [[784.0]]}
    return {
        "quick": False, "note": "", "environment": ENVIRONMENT, "load": [0.1, 0.2], "minutes": 9.0,
        "jobs": [trained(64), trained(784)],
        "rank": {"size": 2048, "layouts": {names.ONE_CORE: ranks, names.FREE: ranks}},
        "gate": {
            "seconds": {
                names.LOADING: [5.0, 5.0, 5.0], names.GATE: [80.0, 90.0, 100.0],
                names.NOTEBOOKS: [50.0, 55.0, 58.0],
                names.PRODUCTS: [24.0, 30.0, 36.0], names.TRAFFIC: [3.0, 10.0, 9.0],
            },
            "processor": [150.0, 160.0, 170.0], "peak": 1.5e9, "cores": 2,
            "steps": 120000, "bounded": 114600,
        },
        "startup": {
            names.PYTHON: [0.01, 0.01], names.IMPORT: [0.03, 0.03],
            names.WITHOUT: [0.2, 0.2], names.WITH: [0.26, 0.26],
        },
        "growth": {"replicas": [[2, 0.5, 10.0], [4, 1.0, 10.0], [8, 2.0, 10.0]]},
    }  # fmt: skip


def row(text, words):
    rows = [line for line in text.splitlines() if line.startswith("| ") and words in line]
    assert len(rows) == 1, rows
    return rows[0]


def test_goal_is_reached_if_the_lower_quartile_reaches_it(results):
    text = page.write(results)
    assert row(text, "one core: times as fast as notebook").endswith(
        "| 8 | 9.00 (8.50 to 9.50); initcheck (one core) over notebook loop, DataLoader "
        "(one core) | yes |"
    )
    assert row(text, "small network, Adam, one core: times as fast as plain").endswith("| no |")


def test_fastest_form_of_jax_counts(results):
    line = row(page.write(results), "one core: times as fast as JAX")
    assert "1.10 (1.00 to 1.10)" in line
    assert "over JAX scan, one by one" in line


def test_missed_goals_state_what_was_tried(results):
    missed = page.write(results).split("Not reached:")[1].split("##")[0]
    assert "times as fast as plain loop" in missed
    assert "torch.compile" in missed
    assert "times as fast as notebook" not in missed


def test_tool_whose_losses_differ_is_not_ranked(results):
    jax = results["jobs"][0]["layouts"][names.ONE_CORE][names.JAX[1]]
    jax["distance"] = [1e-7, 0.5]
    text = page.write(results)
    distances = "1e-07; 5e-01 (tolerated 2e-06; 1e-05)"
    assert f"| JAX scan, one by one | losses differ | not ranked | {distances} |" in text
    assert "over JAX vmap, scan" in row(text, "one core: times as fast as JAX")


def test_rank_that_differs_reaches_no_goal(results):
    other = copy.deepcopy(results)
    other["rank"]["layouts"][names.ONE_CORE][names.OURS]["found"] = [[783.0]]
    assert "no: the ranks differ" in page.write(other)
    assert "the ranks differ" not in page.write(results)


def test_start_up_is_judged_by_its_difference(results):
    text = page.write(results)
    assert row(text, "import initcheck: added").endswith("| 50 ms | 20 (20 to 20) ms | yes |")
    assert row(text, "pytest with the plugin: added").endswith("| 60 (60 to 60) ms | no |")


def test_the_share_of_the_bound_is_that_of_products_and_traffic(results):
    line = row(page.write(results), "wide network, Adam, one core: share")
    assert "75% (75% to 75%) | yes" in line


def test_gate_is_compared_with_its_minute_and_its_memory(results):
    text = page.write(results)
    assert row(text, "| the whole gate, 2 cores").endswith("| 60 s | 90 (85 to 95) s | no |")
    assert row(text, "| the claims of the five notebooks, 2").endswith("55 (52 to 56) s | yes |")
    assert row(text, "peak memory").endswith("| 2 GB | 1.50 GB | yes |")
    more = results | {"gate": results["gate"] | {"peak": 2.1e9}}
    assert row(page.write(more), "peak memory").endswith("| 2.10 GB | no |")


def test_the_gate_has_a_bound_of_loading_products_and_traffic(results):
    text = page.write(results)
    assert row(text, "bound: loading").endswith("| 45.0 (38.5 to 47.5) |")
    assert "The bound is 50% (45% to 50%) of the whole gate's time." in " ".join(text.split())


def test_growth_has_its_exponents(results):
    assert row(page.write(results), "| replicas |").endswith("| 1.00 | 10, 10, 10 | 0.00 |")


def test_quick_run_has_a_warning(results):
    warning = "the figures mean nothing"
    assert warning not in page.write(results)
    assert warning in page.write(results | {"quick": True})


def test_quartiles_are_those_of_rounds():
    assert f"{goals.ratio([2, 4, 6, 8, 10], [2] * 5):.1f}" == "3.0 (2.0 to 4.0)"


def test_losses_of_shares_are_put_back_in_order():
    losses = agreement.together([[[0.0], [2.0]], [[1.0]]])
    assert losses[:, 0].tolist() == [0.0, 1.0, 2.0]


def test_distance_sees_one_replica_that_ends_elsewhere():
    ours = agreement.together([[[1.0] * 20, [1.0] * 20]])
    theirs = ours.copy()
    theirs[1, -10:] *= 1.01
    assert agreement.distance(theirs, ours) == pytest.approx([0, 0.01])
    assert not agreement.is_same(names.PLAIN, trained(64)["job"], [0, 0.01])
