"""A damaged results file ends in a sentence or in a report, never in a traceback."""

from __future__ import annotations

import copy
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from initcheck.cli.main import main
from initcheck.results import to_plain
from tests.helpers.recorded_runs import good
from tests.helpers.results import example

PICTURE = next(each for each in good().pictures if each.name == "width_transfer")
WHOLE = to_plain(replace(example(), pictures=[PICTURE]))
COMMANDS = (
    ["report"], ["report", "--verbose"], ["report", "--markdown"], ["report", "--annotations"],
    ["report", "--html", "page.html"], ["compare", "--all"], ["report", "--pictures", "figures"],
)  # fmt: skip


def places(value, at=()):
    """The place of every value in nested data."""
    yield at
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in inner:
            yield from places(each, (*at, key))


PLACES = sorted(set(places(WHOLE)) - {()}, key=str)
VALUES = st.sampled_from(
    [None, True, 0, -1, 10**250, 1e308, -1e308, 5e-324, "NaN", "Infinity", "text", "", "\x1b[31m",
     "\u202e", [], {}, [None], [[]], [0.0], ["NaN"] * 4, {"min": 0.0}, {"a": 1}, "removed"]
)  # fmt: skip


@settings(
    max_examples=100, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(at=st.sampled_from(PLACES), value=VALUES, command=st.sampled_from(COMMANDS))
def test_every_damage_ends_in_a_report_or_a_sentence(tmp_path, at, value, command):
    whole = copy.deepcopy(WHOLE)
    *parents, last = at
    inner = whole
    for key in parents:
        inner = inner[key]
    if value == "removed":
        del inner[last]
    else:
        inner[last] = value
    files = [tmp_path / "damaged.json", tmp_path / "sound.json"]
    for file, content in zip(files, (whole, WHOLE), strict=True):
        file.write_text(json.dumps(content))
    outputs = ("page.html", "figures")
    options = [str(tmp_path / part) if part in outputs else part for part in command[1:]]
    if "--pictures" in options:
        del files[1:]  # it draws one run
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        code = main([command[0], *map(str, files), *options])
    assert code in (0, 4)
    assert (code == 4) == errors.getvalue().startswith("initcheck: ")
    assert "\x1b" not in output.getvalue() + errors.getvalue()
