"""Every option: command line, ini key, environment variable, in this order."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from initcheck.plugin.options import OPTIONS, Settings


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for option in OPTIONS:
        monkeypatch.delenv(option.variable, raising=False)
    monkeypatch.delenv("CI", raising=False)


def settings(ini=None, **given):
    """The settings of a run with these options and ini keys."""
    ini = ini or {}
    return Settings.of(
        SimpleNamespace(
            getoption=lambda name: given.get(name.removeprefix("initcheck_")),
            getini=lambda name: ini.get(name.removeprefix("initcheck_"), ""),
        )
    )


def test_defaults():
    found = settings()
    assert found.device == ("auto",)
    assert (found.seeds, found.scale, found.engine, found.salt) == (None, "brief", "ensemble", "")
    assert not any([found.demanded, found.download, found.require_evidence, found.init])
    assert found.record is found.json is found.html is found.baselines is found.data_root is None


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_a_setting_and_three_names(option):
    assert hasattr(settings(), option.key)
    assert option.variable == f"INITCHECK_{option.name.upper().replace('-', '_')}"
    assert option.argparse()["dest"] == f"initcheck_{option.key}"


def test_command_line_before_variable_before_ini(monkeypatch):
    ini = {"seeds": "3"}
    assert settings(ini).seeds == 3
    monkeypatch.setenv("INITCHECK_SEEDS", "2")
    assert settings(ini).seeds == 2
    assert settings(ini, seeds="1").seeds == 1


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("option", "--initcheck-seeds:"),
        ("variable", "INITCHECK_SEEDS:"),
        ("ini", "initcheck_seeds:"),
    ],
)
def test_error_names_where_it_was_said(monkeypatch, source, named):
    if source == "variable":
        monkeypatch.setenv("INITCHECK_SEEDS", "x")
    with pytest.raises(pytest.UsageError, match=named):
        settings({"seeds": "x"} if source == "ini" else None,
                 **({"seeds": "x"} if source == "option" else {}))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "names"), [("cpu", ("cpu",)), ("cpu, cuda ,cpu", ("cpu", "cuda"))]
)
def test_devices(text, names):
    assert settings(device=text).device == settings(device=text).demanded == names


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False)])
def test_switches(monkeypatch, text, value):
    monkeypatch.setenv("INITCHECK_REQUIRE_EVIDENCE", text)
    assert settings().require_evidence is value


@pytest.mark.parametrize(
    ("option", "text", "sentence"),
    [
        ("download", "perhaps", "'perhaps' is neither yes nor no"),
        ("device", " , ", "names no device"),
        ("record", "  ", "a reason is needed"),
        ("init", "module", "'module' is not MODULE:FUNCTION"),
        ("init", ":function", "is not MODULE:FUNCTION"),
        ("baselines", "/nowhere/at/all", "there is no folder /nowhere/at/all"),
    ],
)
def test_wrong_values_are_refused(option, text, sentence):
    with pytest.raises(pytest.UsageError, match=sentence):
        settings({option: text})


def test_repeated_option_and_words_of_a_variable(monkeypatch):
    assert settings(init=["a:b", "c:d"]).init == ("a:b", "c:d")
    monkeypatch.setenv("INITCHECK_INIT", "a:b c:d")
    assert settings().init == ("a:b", "c:d")


def test_recording_is_refused_where_ci_is_set(monkeypatch):
    assert settings(record="why").record == "why"
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.UsageError, match="refused where CI is set"):
        settings(record="why")


def test_accepting_a_drift_needs_a_recording():
    assert settings(record="why", accept_drift="so").accept_drift == "so"
    with pytest.raises(pytest.UsageError, match="needs --initcheck-record REASON"):
        settings(accept_drift="so")


@pytest.mark.parametrize("link", ["", "symlink_to"])
def test_one_file_for_results_and_page_is_refused(tmp_path, link):
    page = tmp_path / "page.html"
    if link:
        page.symlink_to("results.json")
    names = {"json": str(tmp_path / "results.json"), "html": str(page)}
    if not link:
        names["json"] = f"{tmp_path}/./page.html"
    with pytest.raises(pytest.UsageError, match=r"both name .*page\.html.* Name two files"):
        settings(**names)
    assert settings(**names | {"html": str(tmp_path / "other.html")}).html.name == "other.html"
