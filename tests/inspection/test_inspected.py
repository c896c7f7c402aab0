"""baselines/INSPECTED.md is what its runs say, and no model that is right fails or warns."""

from __future__ import annotations

import re

from tests.inspection.__main__ import PAGE, ROOT, RUNS, in_order, kept, models, page


def test_the_page_is_written_from_the_runs():
    assert PAGE.read_text(encoding="utf-8") == page(in_order(kept()))


def test_every_model_was_inspected_and_none_warns_falsely():
    results = in_order(kept())
    assert set(results) == set(models())
    assert [name for name, each in results.items() if "error" in each] == []
    text = PAGE.read_text(encoding="utf-8")
    for severity in ("fail", "warn"):
        assert f"False `{severity}`: 0 of {len(results)} models" in text


def test_the_list_is_long_enough_for_its_bound():
    """None of 120 models or more: at most 2.5 % with 95 % confidence."""
    libraries = [name for name in models() if not name.startswith(("start ", "torch "))]
    assert len(libraries) >= 120
    assert sum(name.startswith("timm ") for name in libraries) >= 60
    assert sum(name.startswith("transformers ") for name in libraries) >= 20
    assert sum(name.startswith("diffusers ") for name in libraries) >= 5


def test_no_result_names_a_folder_of_the_machine():
    """Errors name files from the working directory on, so that lists of two machines agree."""
    assert str(ROOT) not in RUNS.read_text(encoding="utf-8")
    assert not re.search(r"\(/\w", RUNS.read_text(encoding="utf-8"))
