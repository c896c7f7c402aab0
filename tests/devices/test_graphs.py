"""Recording a step calls the backend in the order that torch's notes on CUDA graphs give."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from initcheck.devices import DeviceError, backends, graphs, recorded, records, warming_up
from initcheck.devices.graphs import require_recording

FAKE = "xpu"  # a device type that every torch can name and no test machine has


@pytest.fixture
def calls(monkeypatch):
    """What a backend that records is asked for, in order."""
    done = []

    class Stream:
        def __init__(self, name):
            self.name = name

        def wait_stream(self, other):
            done.append(f"{self.name} waits for {other.name}")

    class Graph:
        def __getattr__(self, name):
            return lambda: done.append(name)

    @contextmanager
    def stream(chosen):
        done.append(f"on {chosen.name}")
        yield
        done.append(f"off {chosen.name}")

    backend = SimpleNamespace(
        CUDAGraph=Graph, Stream=lambda device: Stream("second"), stream=stream,
        current_stream=lambda device: Stream("first"),
    )  # fmt: skip
    monkeypatch.setattr(backends, "module_of", lambda kind: backend)
    graphs._stream.cache_clear()
    yield done
    graphs._stream.cache_clear()


def test_only_some_devices_record():
    assert records("cuda:1")
    assert not any(map(records, ("cpu", "mps", "xla", FAKE)))


def test_a_device_that_cannot_record_is_refused_with_a_device_that_can():
    require_recording(("cuda", "cuda:1"))
    with pytest.raises(DeviceError, match="'cpu' cannot record a training step"):
        require_recording(("cuda", "cpu"))


def test_first_steps_run_on_a_second_stream_that_waits_for_the_first(calls):
    with warming_up(FAKE):
        calls.append("step")
    assert calls == [
        "second waits for first", "on second", "step", "off second", "first waits for second"
    ]  # fmt: skip


def test_a_step_is_recorded_and_then_replayed(calls):
    replay = recorded(lambda: calls.append("step"), FAKE)
    assert calls[1:5] == ["on second", "capture_begin", "step", "capture_end"]
    replay()
    assert calls[-1] == "replay"


def test_a_step_that_cannot_be_recorded_ends_the_recording(calls):
    def step():
        raise RuntimeError("operation not permitted when stream is capturing")

    with pytest.raises(RuntimeError, match="not permitted"):
        recorded(step, FAKE)
    assert calls[-1] == "capture_end"
