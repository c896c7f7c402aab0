"""Fixtures that several test files share."""

from __future__ import annotations

import os

# The tests expect the CPU as the only device. Also, once one test had started an accelerator, the
# next could not fork this process.
os.environ.update(CUDA_VISIBLE_DEVICES="", HIP_VISIBLE_DEVICES="")

import pytest

from tests.helpers.projects import Project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one small claim and its limit, without environment variables of the user."""
    for name in ("CI", "INITCHECK_DEVICE", "INITCHECK_DATA_ROOT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    made = Project(tmp_path)
    made.claims()
    made.limits()
    return made


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """One cache directory for all tests without a cache of their own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def isolated_data(shared_cache, monkeypatch):
    """A cache that is not the user's, and no data sets left in this process by other tests."""
    from initcheck.datasets import forget  # imports torch, which most tests of options do without

    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    monkeypatch.delenv("INITCHECK_DATA_ROOT", raising=False)
    forget()
    yield
    forget()


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache that no other test uses."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "initcheck"
