"""The fixture `unchanged` in a user's tests."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from tests.cli.test_unchanged import LOOPS

TEST = """
import os
from unchanged_loops import small

def training(seed):
    yield from small(seed, rate=float(os.environ.get("RATE", "0.1")))

def test_training(unchanged):
    assert unchanged(training, steps=4, seeds=2).r < 1
"""
TWICE = """
from unchanged_loops import small

def test_twice(unchanged):
    unchanged(small, steps=2, seeds=1, file="a.json")
    unchanged(small, steps=2, seeds=1, file="b.json")

def test_same(unchanged):
    unchanged(small, steps=2, seeds=1, file="a.json")
    unchanged(small, steps=2, seeds=1, file="a.json")
"""


@pytest.fixture
def loops(project, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    project.claims(LOOPS.read_text(), "unchanged_loops")
    project.claims(TEST, "test_mine")
    return project


@pytest.fixture
def recorded(loops):
    result = loops.run("test_mine.py", "--initcheck-record=the first")
    assert result.ret == 1
    assert "recorded     training" in result.output
    return loops


def test_without_a_reference_the_test_fails_and_names_the_command(loops):
    result = loops.run("test_mine.py")
    assert result.ret == 1
    assert "There is no reference" in result.text
    assert "pytest 'test_mine.py::test_training' --initcheck-record 'why'" in result.text
    assert "During handling" not in result.output


def test_the_reference_lies_next_to_the_test(recorded):
    assert (recorded.path / "unchanged" / "test_mine" / "test_training.json").is_file()


@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_unchanged_and_changed(recorded, monkeypatch, processes):
    assert recorded.run("test_mine.py", *processes).ret == 0
    monkeypatch.setenv("RATE", "0.09995")
    files = ("--junit-xml=j.xml", "--initcheck-json=j.json", "--initcheck-html=h.html")
    result = recorded.run("test_mine.py", *files, *processes)
    assert result.ret == 1
    assert "lr of group 0 is 0.09995 and was 0.1." in result.text
    (report,) = json.loads((recorded.path / "j.json").read_text())["unchanged"]
    assert report["verdict"] == "changed"
    assert report["tensor"] in (recorded.path / "h.html").read_text()
    properties = {
        each.get("name"): each.get("value")
        for each in ET.parse(recorded.path / "j.xml").iter("property")  # noqa: S314 -- our own
    }
    assert properties["initcheck_unchanged_verdict"] == "changed"
    assert float(properties["initcheck_unchanged_r"]) == report["r"]
    assert properties["initcheck_unchanged_tensor"] == report["tensor"]


def test_two_loops_in_one_test_need_two_files(loops):
    loops.claims(TWICE, "test_twice")
    result = loops.run("test_twice.py::test_twice", "--initcheck-record=why")
    assert result.ret == 1
    assert "a.json" in result.output
    assert (loops.path / "b.json").is_file()
    result = loops.run("test_twice.py::test_same")
    assert "calls unchanged twice with the reference a.json" in result.text


NAMES = """
import pytest
from unchanged_loops import small

class TestX:
    def test_same(self, unchanged):
        unchanged(small, steps=2, seeds=1)

class TestY:
    def test_same(self, unchanged):
        unchanged(small, steps=3, seeds=1)

@pytest.mark.parametrize("steps", [2, 3], ids=["a/b", "a:b"])
def test_steps(unchanged, steps):
    unchanged(small, steps=steps, seeds=1)
"""


def test_each_test_has_its_reference(loops):
    loops.claims(NAMES, "test_names")
    assert loops.run("test_names.py", "--initcheck-record=why").ret == 1
    assert len([*(loops.path / "unchanged" / "test_names").iterdir()]) == 4
    assert loops.run("test_names.py").ret == 0


def test_recording_is_refused_in_ci(loops, monkeypatch):
    monkeypatch.setenv("CI", "true")
    result = loops.run("test_mine.py", "--initcheck-record=why")
    assert result.ret == 4
    assert not (loops.path / "unchanged").exists()


def test_no_warning_with_junit(recorded):
    assert recorded.run("test_mine.py", "--junit-xml=j.xml", "-W", "error").ret == 0
