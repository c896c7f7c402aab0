"""Recording refuses an arm whose start is not a function of its seed."""

from __future__ import annotations

import pytest

from tests.helpers.projects import CLAIMS

WRONG = """
import itertools
from initcheck.initializers import every

COUNTER = itertools.count()
SALT = hash("a text") % 1000

def counting_(tensor, generator):
    return tensor.fill_(next(COUNTER))

def ignoring_(tensor, generator):
    return tensor.normal_()

def hashing_(tensor, generator):
    return tensor.fill_(SALT)

def sound_(tensor, generator):
    return tensor.normal_(generator=generator)
"""
RECORD = ("--initcheck-device=cpu", "--initcheck-record=why")
ORDER, PROCESS = "its seeds are built in another order", "another process builds it"


def with_control(project, name: str) -> None:
    """A project whose control starts from this function."""
    text = CLAIMS.replace("HE, ZEROS = Arm(NETWORK, he, RECIPE)", WRONG + "HE, ZEROS = HERE")
    project.claims(text.replace("HERE", f"Arm(NETWORK, every({name}), RECIPE)"))


@pytest.mark.parametrize(
    ("name", "when"), [("counting_", ORDER), ("ignoring_", ORDER), ("hashing_", PROCESS)]
)
def test_arm_that_starts_elsewhere_is_not_recorded(project, name, when):
    with_control(project, name)
    result = project.start(*RECORD, PYTHONHASHSEED="7")
    assert result.ret == 1
    assert "The evidence of zeros_stay was not written" in result.text
    arm = (
        f"The arm 'mlp 784-8-10 relu | {name} | SGD(lr=0.1), batch 32, 5 steps, float32 | mnist5k'"
    )
    assert f"{arm} starts from other values of hidden1.weight when {when}" in result.text
    assert not project.evidence("zeros_stay").exists()


def test_function_of_its_seed_is_recorded_and_followed(project):
    """The results of the first process are not overwritten by the second."""
    with_control(project, "sound_")
    file = project.path / "results.json"
    result = project.start(*RECORD, "--initcheck-json", str(file), "-k", "zeros_stay")
    assert "Evidence of 1 claim was written" in result.text
    assert "zeros_stay" in file.read_text()
    assert project.run("--initcheck-device=cpu", "--initcheck-require-evidence").ret == 0


def test_second_process_that_fails_is_shown(project):
    with_control(project, "sound_")
    broken = "import os\nif 'INITCHECK_STARTS_FILE' in os.environ: raise RuntimeError('no luck')\n"
    project.claims(broken, "conftest")
    result = project.start(*RECORD)
    assert "in a second process. It failed, so nothing was recorded" in result.text
    assert "no luck" in result.text
    assert not project.evidence("zeros_stay").exists()
