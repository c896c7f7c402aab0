"""Compiled modules: judged against the eager record, under the same names."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from initcheck.trajectory import layers
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.run import run
from tests.trajectory.judging import compared, recorded
from tests.trajectory.test_kinds_of_training import batches, mlp

#: Traces forward and backward as the default backend does, and needs no compiler.
BACKEND = "aot_eager"


def outside(model):
    return torch.compile(model, backend=BACKEND)


def in_place(model):
    model.compile(backend=BACKEND)
    return model


def a_part(model):
    model[0] = torch.compile(model[0], backend=BACKEND)
    return model


def a_part_in_place(model):
    model[0].compile(backend=BACKEND)
    return model


def training(compiled=lambda model: model, *, lr=0.05):
    def loop(seed):
        torch.manual_seed(seed)
        model = compiled(mlp(nn.Dropout(0.1)))
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        yield model, optimizer
        for inputs, targets in batches(seed):
            loss = (model(inputs) - targets).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield loss

    return loop


@pytest.fixture(autouse=True)
def _fresh():
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.compiler.reset()


@pytest.mark.parametrize("compiled", [outside, in_place, a_part, a_part_in_place])
def test_a_compiled_module_follows_the_eager_record(compiled):
    reference = recorded(training())
    same = compared(training(compiled), reference)
    assert same.verdict == "unchanged", same.why
    other = compared(training(compiled, lr=0.05 * 0.9995), reference)
    assert other.verdict == "changed"


@pytest.mark.parametrize("compiled", [outside, in_place, a_part, a_part_in_place])
def test_a_compiled_module_has_the_names_and_the_batch_of_the_eager_one(compiled):
    eager = run(Loop(training(), "training"), 0, 2)
    trace = run(Loop(training(compiled), "training"), 0, 2)
    assert list(trace.shapes) == list(eager.shapes)
    assert torch.equal(torch.stack(trace.batch), torch.stack(eager.batch))
    assert trace.draws is eager.draws is True


def test_watching_the_first_pass_does_not_break_the_graph():
    graphs = []

    def count(graph, _):
        graphs.append(graph)
        return graph.forward

    def compiled(model):
        model.compile(backend=count)
        return model

    run(Loop(training(compiled), "training"), 0, 3)
    assert len(graphs) == 1


def test_the_first_difference_of_a_compiled_module_is_found():
    def wrong(model):
        model[1] = nn.Hardtanh()
        return outside(model)

    loop = Loop(training(), "training")
    before = layers.recorded(loop, 0)
    assert layers.first_difference(Loop(training(outside), "training"), 0, before) == ""
    found = layers.first_difference(Loop(training(wrong), "training"), 0, before)
    assert "gradient" in found
