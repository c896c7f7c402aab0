"""`--initcheck-engine`: three ways to take the same steps."""

from __future__ import annotations

from tests.helpers.projects import CLAIMS, HE_APART, MEASURED, ZEROS_STAY


def test_unknown_engine_is_refused(project):
    result = project.run("--initcheck-engine=jax")
    assert result.ret == 4
    assert "--initcheck-engine: 'jax' is none of ensemble, module, replay." in result.text


def test_replaying_on_a_device_that_cannot_record_is_refused_before_training(project):
    result = project.run("--initcheck-engine=replay", "--initcheck-device=cpu")
    assert result.ret == 4
    assert "'cpu' cannot record a training step and replay it" in result.text
    assert "`--initcheck-engine ensemble`" in result.text


def test_engines_agree_on_verdicts_and_closely_on_values(project):
    project.claims(CLAIMS + MEASURED)
    project.limits(ZEROS_STAY + HE_APART)
    device = "--initcheck-device=cpu"
    runs = [
        project.results(f"--initcheck-engine={name}", device) for name in ("module", "ensemble")
    ]
    for module, ensemble in zip(*runs, strict=True):
        assert module["verdict"] == ensemble["verdict"] == "pass"
        for a, b in zip(module["probes"], ensemble["probes"], strict=True):
            for side in ("treated", "control"):
                apart = [abs(x - y) for x, y in zip(a[side], b[side], strict=True)]
                assert max(apart) <= 1e-4 * max(map(abs, a[side]))


def test_engine_is_the_one_asked_for(project):
    (project.path / "conftest.py").write_text(
        "from initcheck.gate.trainer import Laboratory\n"
        "def pytest_runtest_teardown(item):\n"
        "    from initcheck.plugin.lazy_session import open_session\n"
        "    laboratory = open_session(item.config).laboratory\n"
        "    print('ran on', {t.engine for t in laboratory._trained.values()})\n"
    )
    for engine in ("module", "ensemble"):
        assert f"ran on {{'{engine}'}}" in project.run(f"--initcheck-engine={engine}", "-s").text
