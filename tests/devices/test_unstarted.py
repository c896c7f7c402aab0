"""An accelerator that no process has started yet is examined in a forked one."""

from __future__ import annotations

import os
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from initcheck.devices import (
    describe,
    detect,
    examine,
    forks,
)
from tests.devices.conftest import ABSENT, FAKE, right_product

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def unstarted(fake: Callable[..., SimpleNamespace]) -> Callable[..., list[str]]:
    """Install a working backend that is not started; returns the products of this process."""

    def install(multiply: Callable[[str], torch.Tensor] = right_product, **more: Any) -> list[str]:
        here: list[str] = []

        def product(name: str) -> torch.Tensor:
            here.append(name)
            return multiply(name)

        fake(product=product, **{"is_initialized": lambda: False, **more})
        return here

    return install


FORKS = pytest.mark.skipif(not forks.supported(), reason="no process can be forked here")


@FORKS
def test_accelerator_is_tested_in_a_forked_process(unstarted: Callable[..., list[str]]) -> None:
    here = unstarted()
    assert examine(FAKE) == detect.Finding(FAKE, True, "", "Fake 9000")
    assert describe(FAKE)["driver"] == "1.2"
    assert here == []


@FORKS
def test_accelerator_that_ends_its_process_does_not_end_ours(
    unstarted: Callable[..., list[str]],
) -> None:
    here = unstarted(lambda _: os._exit(9))
    assert examine(FAKE).reason == "The process that multiplied on it ended with exit code 9."
    assert here == []


@FORKS
def test_accelerator_that_does_not_answer_is_given_up(
    unstarted: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "TIMEOUT", 0.5)
    unstarted(lambda _: threading.Event().wait(60))  # type: ignore[arg-type, return-value]
    assert examine(FAKE).reason == "The process that multiplied on it gave no answer in 0.5 s."


@FORKS
def test_accelerator_that_a_fork_cannot_use_is_tested_in_this_process(
    unstarted: Callable[..., list[str]],
) -> None:
    """A driver that something started without torch's knowledge fails in forked processes."""
    parent = os.getpid()

    def multiply(name: str) -> torch.Tensor:
        if os.getpid() != parent:
            raise RuntimeError("initialization error")
        return right_product(name)

    here = unstarted(multiply)
    assert examine(FAKE).works
    assert here == [FAKE]


@pytest.mark.parametrize("started", [True, False])
def test_started_accelerator_is_tested_in_this_process(
    unstarted: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, *, started: bool
) -> None:
    monkeypatch.setattr(forks, "supported", lambda: started)  # or where nothing can be forked
    here = unstarted(is_initialized=lambda: started)
    assert examine(FAKE).works
    assert here == [FAKE]


@FORKS
@pytest.mark.parametrize("started", [True, False])
def test_process_that_started_an_accelerator_is_not_to_be_forked(
    unstarted: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, *, started: bool
) -> None:
    unstarted(is_initialized=lambda: started)
    monkeypatch.setattr(detect, "candidates", lambda: (FAKE, ABSENT))
    assert detect.forkable() is not started
