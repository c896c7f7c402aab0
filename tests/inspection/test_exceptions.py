"""An exception allows findings about the parameters that it names, and must allow something."""

from __future__ import annotations

import pytest

from initcheck import inspect_model
from initcheck.inspection import Finding, InspectionError
from initcheck.inspection.exceptions import divided, exceptions
from initcheck.inspection.text import finding_lines
from tests.inspection import faulty, faulty_law, innocent


def allowing(build, *allow, batch=faulty.rows):
    return inspect_model(build, batch, allow=allow, name="model")


def test_what_is_allowed_is_kept_with_its_reason():
    found = allowing(faulty.EmptyBias, ("b*", "written", "a checkpoint fills it"), batch=None)
    assert found.ok
    assert not found.findings
    (allowed,) = found.allowed
    assert (allowed.severity, allowed.parameters) == ("fail", ("bias",))
    assert allowed.allowed == "a checkpoint fills it"


def test_a_finding_is_divided():
    found = allowing(faulty.Lora, ("a", "asleep", "on purpose"))
    assert [each.parameters for each in found.of_severity("fail")] == [("b",)]
    assert [each.parameters for each in found.allowed] == [("a",)]


def test_two_exceptions_may_allow_one_finding():
    found = allowing(faulty.Lora, "a asleep one reason", "[b] asleep another reason")
    assert found.ok
    assert [(each.parameters, each.allowed) for each in found.allowed] == [
        (("a",), "one reason"), (("b",), "another reason"),
    ]  # fmt: skip


def test_a_note_may_be_allowed():
    found = allowing(innocent.lora_b_zero, "a asleep B starts at zero")
    assert not found.findings
    assert [each.severity for each in found.allowed] == ["note"]


def test_copies_are_allowed_as_a_whole():
    assert allowing(faulty.TwoHeads, "* distinct on purpose").ok
    found = allowing(faulty.TwoHeads, "second.* distinct on purpose")
    unused = [each for each in found.findings if each.owner == "exception"]
    assert not found.ok
    assert not found.allowed
    assert "covers a part of a finding" in unused[0].message
    assert "Allow first." in unused[0].repair


@pytest.mark.parametrize(
    ("exception", "sentence"),
    [
        ("weight written set later", "finds nothing about the 1 tensors that it names"),
        ("weigth written set later", "no parameter has such a name"),
    ],
)
def test_an_exception_that_allows_nothing_fails(exception, sentence):
    found = allowing(faulty.EmptyBias, exception, "bias written set later", batch=None)
    (finding,) = found.findings
    assert (finding.check, finding.severity) == ("written", "fail")
    assert sentence in finding.message
    assert not found.ok


def test_an_exception_to_a_check_that_did_not_run_is_named():
    found = allowing(innocent.lora_b_zero, "a asleep B starts at zero", batch=None)
    assert found.ok
    assert "the exception 'a asleep' was not tried" in str(found)


@pytest.mark.parametrize(
    ("allow", "sentence"),
    [
        (["bias written"], "is not PATTERN CHECK REASON"),
        ([("bias", "writen", "why")], "names the check 'writen', which does not exist"),
        ([("bias", "written", " ")], "has no reason"),
        ([("bias", "written")], "is not (pattern, check, why)"),
        ("bias written why", "Give allow as a list"),
    ],
)
def test_what_is_no_exception_is_refused(allow, sentence):
    with pytest.raises(InspectionError) as error:
        inspect_model(faulty.EmptyBias, allow=allow)
    assert sentence in str(error.value)


@pytest.mark.parametrize(("pattern", "kept"), [("*", False), ("head.*", True)])
def test_a_star_covers_a_finding_about_the_whole_module(pattern, kept):
    found = inspect_model(
        faulty_law.plain_blocks,
        init=faulty_law.pattern_without_a_match,
        allow=[(pattern, "effect", "names of an older model")],
        name="model",
    )
    about_all = "was true for none"
    assert any(about_all in each.message for each in found.findings) == kept
    assert any(about_all in each.message for each in found.allowed) != kept


def test_what_remains_keeps_its_own_lines():
    whole = Finding(
        check="asleep", severity="fail", parameters=("a", "b", "c"), owner="Model",
        message="", lines=("x.py:1", "x.py:2", "x.py:2"), line="x.py:1",
    )  # fmt: skip
    rest, (allowed,), _ = divided(
        [whole], exceptions(["a asleep why"]), ["asleep"], ["a", "b", "c"]
    )
    assert (allowed.line, allowed.lines) == ("x.py:1", ("x.py:1",))
    assert [(each.line, each.lines) for each in rest] == [("x.py:2", ("x.py:2", "x.py:2"))]


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("x.py:1",) * 3, "note  asleep  a, b, c (Model, written at x.py:1): It sleeps."),
        (("x.py:1", "", "x.py:2"), "Written last at x.py:1, x.py:2."),
        (("a:1", "a:2", "a:3", "a:4", "a:5"), "Written last at a:1, a:2, a:3 and 2 more."),
    ],
)
def test_every_line_that_wrote_a_parameter_of_a_finding_is_named(lines, text):
    finding = Finding(
        check="asleep", severity="note", parameters=tuple("abcde"[: len(lines)]), owner="Model",
        message="It sleeps.", lines=lines, line=lines[0],
    )  # fmt: skip
    assert finding_lines([finding], detailed=True)[-1].strip() == text
