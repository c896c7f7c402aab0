"""`initcheck claims` and `initcheck doctor`, run as a user runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

import initcheck
from initcheck import claims
from initcheck.cli import doctor
from initcheck.cli.main import main

ROOT = Path(__file__).parents[2]
CONFTEST = """
def pytest_configure(config):
    config.addinivalue_line("markers", "initcheck_claim(source, kind): a claim")
"""
CLAIMS = '''
import pytest

def claim(**about):
    return pytest.mark.initcheck_claim(**about)

@claim(source="He 2015, eq. 10", kind="measured")
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_he_keeps_variance(activation):
    """He's initialization keeps the variance of
    pre-activations."""
    raise SystemExit("listing must not run a claim")

@claim(source="notebook 003", kind="theorem")
@pytest.mark.parametrize("which_device", ["cpu"])
def test_identity_caps_rank(which_device):
    """The rank of the residual never exceeds the number of inputs."""

@claim(source="notebook 001", kind="exact")
@pytest.mark.parametrize("which_device", ["cpu"])
@pytest.mark.parametrize("optimizer", ["Adam"])
def test_zeros_stay_symmetric(optimizer, which_device):
    """All-zero networks stay symmetric."""

def test_that_is_no_claim():
    pass
'''


@pytest.fixture
def project(tmp_path, monkeypatch, request):
    """A project with three claims, in which the user stands."""
    # pytest keeps test modules of this process by name, so each project has a name of its own.
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    # Without the plugin, which asks more of a claim (limits, evidence) than listing it does.
    ini = "[pytest]\naddopts = --strict-markers -p no:initcheck\n"
    (tmp_path / "pytest.ini").write_text(ini)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / f"test_of_{request.node.originalname}.py").write_text(CLAIMS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_claims_for_people(project, capsys):
    assert main(["claims"]) == 0
    assert capsys.readouterr().out == (
        "he_keeps_variance[relu]     measured  He 2015, eq. 10\n"
        "    He's initialization keeps the variance of pre-activations.\n"
        "he_keeps_variance[silu]     measured  He 2015, eq. 10\n"
        "    He's initialization keeps the variance of pre-activations.\n"
        "identity_caps_rank          theorem   notebook 003\n"
        "    The rank of the residual never exceeds the number of inputs.\n"
        "zeros_stay_symmetric[Adam]  exact     notebook 001\n"
        "    All-zero networks stay symmetric.\n"
    )


def test_claims_for_machines(project, capsys):
    assert main(["claims", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [claim["claim"] for claim in listed] == [
        "he_keeps_variance[relu]",
        "he_keeps_variance[silu]",
        "identity_caps_rank",
        "zeros_stay_symmetric[Adam]",
    ]
    assert listed[2] == {
        "claim": "identity_caps_rank",
        "kind": "theorem",
        "source": "notebook 003",
        "statement": "The rank of the residual never exceeds the number of inputs.",
        "file": "benchmarks/test_of_test_claims_for_machines.py",
        "line": 14,
        "node": "benchmarks/test_of_test_claims_for_machines.py::test_identity_caps_rank",
        "scale": "brief",
    }


def test_long_claims_stay_in_100_columns(project, capsys):
    text = f"""
import pytest
@pytest.mark.initcheck_claim(source="{"a source " * 12}", kind="measured")
def test_{"long_" * 15}name():
    '''{"word " * 60}'''
"""
    (project / "benchmarks" / "test_of_long_claims.py").write_text(text)
    assert main(["claims", "benchmarks/test_of_long_claims.py"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 100


def test_listing_leaves_no_trace(project, capsys):
    main(["claims"])
    assert not (project / ".pytest_cache").exists()
    assert capsys.readouterr().err == ""


def test_missing_path_is_said(project, capsys):
    assert main(["claims", "nowhere"]) == 4
    assert "file or directory not found: nowhere" in capsys.readouterr().err


def test_broken_file_is_shown_as_pytest_shows_it(project, capsys):
    (project / "benchmarks" / "test_broken.py").write_text("import no_such_module")
    assert main(["claims"]) == 4
    error = capsys.readouterr().err
    assert "No module named 'no_such_module'" in error
    assert "test_broken.py" in error


def test_folder_without_claims_is_said(project, capsys):
    (project / "empty").mkdir()
    assert main(["claims", "empty"]) == 4
    assert "empty holds no claim" in capsys.readouterr().err


def test_place_without_benchmarks_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(claims, "PACKAGE", "no_such_package")
    assert main(["claims"]) == 4
    assert "no folder benchmarks here" in capsys.readouterr().err


def test_demanded_device_is_not_needed_for_listing(project, capsys):
    demand = """
def pytest_addoption(parser):
    parser.addoption("--initcheck-device", default="no_such_device")
def pytest_configure(config):
    config.addinivalue_line("markers", "initcheck_claim(source, kind): a claim")
def pytest_collection(session):
    assert session.config.option.initcheck_device == "cpu"
"""
    (project / "benchmarks" / "conftest.py").write_text(demand)
    assert main(["claims"]) == 0


def test_claims_of_this_project_are_complete(monkeypatch, capsys):
    """With a device demanded that no machine has, every claim is listed once, and says it all."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("INITCHECK_DEVICE", "no_such_device")
    code = main(["claims", "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    listed = json.loads(captured.out)
    names = [claim["claim"] for claim in listed]
    assert names
    assert len(names) == len(set(names))
    assert {claim["kind"] for claim in listed} <= {"exact", "theorem", "measured"}
    assert [claim for claim in listed if not (claim["source"] and claim["statement"])] == []
    assert [name for name in names if "cpu" in name] == []


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["claims", "--nonsense"]], ids=str)
def test_wrong_option_leaves_with_pytests_code(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 4
    assert "usage: initcheck" in capsys.readouterr().err


# --- doctor


class DeviceError(RuntimeError):
    """Stands for the package of this name."""


def machine(*working: str, fingerprint: str = "f00d") -> dict[str, types.ModuleType]:
    """Modules of a machine with the CPU, and one accelerator that does not compute."""

    def require(names):
        for name in names:
            if name not in working:
                raise DeviceError(f"Device '{name}' was requested but cannot be used.")

    def examine(name):
        reason = "" if name in working else "no driver."
        return types.SimpleNamespace(works=name in working, reason=reason, hardware="Chip 1")

    def load(name):
        if not fingerprint:
            raise ValueError(f"{name} is truncated. Restore it.")
        return types.SimpleNamespace(fingerprint=fingerprint)

    devices, datasets = types.ModuleType("devices"), types.ModuleType("datasets")
    vars(devices).update(
        available=lambda: working,
        candidates=lambda: ("accelerator",),
        examine=examine,
        require=require,
        DeviceError=DeviceError,
    )
    vars(datasets).update(load=load)
    return {"devices": devices, "datasets": datasets}


@pytest.fixture
def on(monkeypatch):
    """Puts doctor on a machine."""

    def put(modules):
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, f"initcheck.{name}", module)
            monkeypatch.setattr(initcheck, name, module, raising=False)
        monkeypatch.setattr(doctor, "_pair", lambda: doctor.Line("pair", "fits"))

    return put


def test_doctor_says_what_there_is(on, capsys):
    on(machine("cpu"))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for label in ("python", "torch", "torchvision", "pytest-benchmark", "threads", "baselines"):
        assert f"\n  {label} " in f"\n{out}"
    assert "device cpu        works: Chip 1" in out
    assert "device accelerator" in out
    assert "not usable: no driver." in out
    assert "fingerprint f00d" in out
    assert max(map(len, out.splitlines())) <= 100


def test_doctor_requires_a_device(on, capsys):
    on(machine("cpu"))
    assert main(["doctor", "--require", "cpu"]) == 0
    assert main(["doctor", "--require", "cpu, accelerator"]) == 4
    assert "Device 'accelerator' was requested" in capsys.readouterr().err


def test_doctor_that_requires_nothing_is_refused(capsys):
    """An unset variable in a script: nothing asked for must not count as there."""
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--require", ""])
    assert left.value.code == 4
    assert "names nothing" in capsys.readouterr().err


def test_doctor_names_broken_data(on, capsys):
    on(machine("cpu", fingerprint=""))
    assert main(["doctor"]) == 4
    captured = capsys.readouterr()
    assert "! data mnist5k" in captured.out
    assert "Restore it" in captured.out
    assert "data mnist5k" in captured.err


def test_doctor_names_a_missing_package(on, monkeypatch, capsys):
    on(machine("cpu"))
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    assert main(["doctor"]) == 4
    captured = capsys.readouterr()
    assert "! no-such-package" in captured.out
    assert "no-such-package" in captured.err
    assert "device" not in captured.out


def test_doctor_names_a_pair_that_does_not_fit(monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    line = doctor._pair()
    assert line.broken
    assert "operator nms does not exist" in line.text


@pytest.mark.parametrize("files", [0, 2])
def test_doctor_finds_the_baselines(tmp_path, monkeypatch, files):
    monkeypatch.setenv("INITCHECK_BASELINES", str(tmp_path))
    (tmp_path / "limits.toml").touch()
    (tmp_path / "evidence").mkdir()
    for number in range(files):
        (tmp_path / "evidence" / f"{number}.json").touch()
    assert doctor._baselines().text == f"{tmp_path}, evidence of {files} claims"


def test_doctor_finds_this_machine_in_order():
    done = subprocess.run(
        [sys.executable, "-m", "initcheck.cli", "doctor", "--require", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "torch and torchvision work together" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error():
    program = "from initcheck.cli.main import main; raise SystemExit(main(['claims']))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(), said) == (0, "")
