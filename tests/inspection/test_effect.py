"""Check ``effect``: what an initialization does in vain, and what it leaves alone."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import fnmatch
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from initcheck import inspect_model
from initcheck.inspection import InspectionError
from tests.inspection import faulty_law
from tests.inspection.faulty import CLASSES
from tests.inspection.faulty_law import LayerScale, plain_blocks


def effects(build, init=None, init_apply=None):
    """The findings of this check."""
    found = inspect_model(build, init=init, init_apply=init_apply, name="model")
    assert "effect" in found.judged.checks, str(found)
    return [each for each in found.findings if each.check == "effect"]


FAULTY = [
    (faulty_law.StepBias, "warn", {"step.bias"}, "has no effect"),
    (faulty_law.weight_normed_then_written, "fail",
     {"0.parametrizations.weight.original0", "0.parametrizations.weight.original1"},
     "0.weight is written, and computed again"),
    (faulty_law.weight_normed_by_a_hook_then_written, "fail", {"0.weight_g", "0.weight_v"},
     "0.weight is written, and computed again"),
    (faulty_law.layer_scale, "fail", {"1.gamma"}, "entries that were 1e-05 are 1."),
    (faulty_law.OtherLaw, "fail", {"weight"}, "the standard deviation is"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "severity", "names", "message"), FAULTY, ids=[build.__name__ for build, *_ in FAULTY]
)
def test_a_build_without_effect_is_found(build, severity, names, message):
    (finding,) = effects(build)
    assert finding.severity == severity
    assert set(finding.parameters) == names
    assert message in finding.message


def test_a_pattern_that_matches_nothing_is_found():
    (finding,) = effects(plain_blocks, faulty_law.pattern_without_a_match)
    assert finding.severity == "warn"
    assert "`name == 'down.weight'` was true for none of 14 names" in finding.message
    assert re.match(r"tests/inspection/faulty_law\.py:\d+$", finding.line)


def _in(name, parameter):
    if "c_proj" in name or name in ("head", "tail"):
        nn.init.zeros_(parameter)


def _ends(name, parameter):
    std = 0.005 if name.endswith(("c_proj.weight", "w3.weight")) else 0.02
    nn.init.normal_(parameter, std=std)


def _matches(name, parameter):
    if parameter.dim() and re.match(r"blocks\.\d+", name):
        nn.init.zeros_(parameter)


def _glob(name, parameter):
    if fnmatch.fnmatch(name, "blocks.*"):
        nn.init.zeros_(parameter)


@pytest.mark.parametrize("rule", [_in, _ends, _matches, _glob])
@pytest.mark.parametrize("renamed", [False, True])
def test_each_form_of_a_pattern_is_watched(rule, renamed):
    """A module with such names is silent, and one without them is not."""

    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            layers = nn.ModuleDict({"c_proj" if renamed else "down": nn.Linear(4, 4)})
            self.add_module("blocks" if renamed else "layers", nn.ModuleList([layers]))

    def init(module):
        for name, parameter in module.named_parameters():
            rule(name, parameter)

    found = [each for each in effects(Named, init) if "matches nothing" in each.message]
    assert len(found) == (0 if renamed else 1)
    if rule is _ends and found:  # it is used already
        assert found[0].repair == "Give the end of a name that named_parameters gives."


def test_a_special_rule_that_a_general_one_overwrites_is_found():
    overwritten, alone = sorted(
        effects(plain_blocks, faulty_law.special_before_generic), key=lambda each: each.severity,
        reverse=True,
    )  # fmt: skip
    assert overwritten.severity == "warn"
    assert set(overwritten.parameters) == {f"{n}.down.bias" for n in range(3)}
    assert alone.severity == "note"
    assert alone.value == 7  # the weights


def test_an_initialization_for_apply_that_is_called_once_is_found():
    (finding,) = effects(plain_blocks, faulty_law.biases_only)
    assert finding.severity == "warn"
    assert "wrote none of 14 parameters" in finding.message
    assert "--init-apply" in finding.repair
    (finding,) = effects(plain_blocks, init_apply=faulty_law.biases_only)
    assert finding.severity == "note"
    assert "leaves 7 of 14 parameters" in finding.message


def test_writes_to_meta_and_empty_tensors_are_found():
    def build():
        module = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2, device="meta"))
        module[0].bias.data = torch.empty(0)  # as a sharded parameter before it is gathered
        return module

    found = effects(build, init_apply=faulty_law.biases_only)
    failing = [each for each in found if each.severity == "fail"]
    assert {each.parameters for each in failing} == {("0.bias",), ("1.bias",)}


# --- silent ---------------------------------------------------------------------------------------


def _general_then_special(module):
    for part in module.modules():
        if isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight)
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.02)
            nn.init.zeros_(part.bias)
    for name, parameter in module.named_parameters():
        if name.endswith("down.weight") and parameter.dim() == 2:
            nn.init.normal_(parameter, std=0.005)


def _by_option(module, kind="he"):
    for name, parameter in module.named_parameters():
        if kind == "lecun":
            nn.init.normal_(parameter)
        elif not name.endswith("gain"):
            nn.init.normal_(parameter, std=0.02)
        if name == "scale" or parameter.dim() == 1:
            nn.init.zeros_(parameter)


def _replaces(module):
    for part in module.modules():
        if isinstance(part, nn.Linear):
            part.weight = nn.Parameter(torch.randn(part.weight.shape) * 0.02)
            part.bias = nn.Parameter(torch.zeros(part.bias.shape))


@pytest.mark.parametrize("init", [_general_then_special, _by_option, _replaces])
def test_an_initialization_that_is_right_is_silent(init):
    assert not effects(plain_blocks, init)


class ScaleThatResets(LayerScale):
    def reset_parameters(self):
        nn.init.constant_(self.gamma, 1e-5)


class OwnLayer(nn.Module):
    """A layer that sets its own default, which the whole module overwrites."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(8, 8))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, x):
        return x @ self.weight


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.own, self.head = OwnLayer(), nn.Linear(8, CLASSES)
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.02)
        nn.init.zeros_(self.head.weight)


def _written_before():
    layer = nn.Linear(8, 8)
    layer.weight.data.normal_(0, 0.02)
    return parametrizations.weight_norm(layer)


def _assigned():
    """Parametrized, changed and assigned, so that the change is kept."""
    layer = parametrizations.weight_norm(nn.Linear(8, 8))
    weight = layer.weight.detach()
    weight.mul_(0.5)
    layer.weight = weight
    return layer


def _spectral():
    layer = nn.Linear(8, 8)
    nn.utils.spectral_norm(layer)
    return nn.Sequential(layer, parametrizations.spectral_norm(nn.Linear(8, 8)))


@pytest.mark.parametrize("build", [ScaleThatResets, Whole, _written_before, _assigned, _spectral])
def test_a_build_that_is_right_is_silent(build):
    assert not effects(build)


def test_many_seeds_of_resets_are_silent():
    """The stated rate of resets is 1e-4; of 50 builds none fails."""
    seeds = iter(range(1, 10_000))

    def build():
        torch.manual_seed(next(seeds))
        return OwnLayer()

    for _ in range(50):
        assert not [each for each in inspect_model(build, name="own").findings
                    if each.check == "effect"]  # fmt: skip


def test_the_trace_function_is_left_as_it_was():
    import sys

    def trace(*_):
        return None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        effects(plain_blocks, faulty_law.pattern_without_a_match)
        assert sys.gettrace() is trace
    finally:
        sys.settrace(before)


def test_two_initializations_are_refused():
    with pytest.raises(InspectionError, match="Both init and init_apply are given"):
        inspect_model(plain_blocks, init=_replaces, init_apply=_replaces)
    with pytest.raises(InspectionError, match="which cannot be called"):
        inspect_model(plain_blocks, init=3)


def test_an_initialization_that_raises_is_refused():
    def init(module):
        raise ValueError("no gain")

    with pytest.raises(InspectionError, match="the initialization raised ValueError: no gain"):
        inspect_model(plain_blocks, init=init)


def _draw_(tensor):
    tensor.data.normal_(std=0.02)


def _clear_(tensor):
    with torch.no_grad():
        tensor.zero_()


class Token(nn.Module):
    """Its rules fill by shared functions; each is a line here, and not one of those functions."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.empty(1, 64))
        _draw_(self.token)
        self.layers = nn.Sequential(*(nn.Linear(64, 64) for _ in range(3)))
        for layer in self.layers:
            _clear_(layer.bias)
        _clear_(self.token)


def test_a_function_that_is_handed_a_tensor_is_no_rule():
    assert not effects(Token)


def _fill(child, std):
    nn.init.normal_(child.weight, std=std)


class Embedded(nn.Module):
    """An embedding that a rule by type draws, and then the rule of its parent."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(20, 8)


class ByHelper(nn.Module):
    """All rules of parents call one helper, which is therefore no general rule."""

    def __init__(self):
        super().__init__()
        self.start, self.blocks = Embedded(), nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
        self.apply(self.draw)

    def draw(self, module):
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
        if isinstance(module, Embedded):
            _fill(module.tokens, 0.02)
        if isinstance(module, nn.Sequential):
            for each in module:
                _fill(each, 0.01)


class SpecialThenHelper(ByHelper):
    """The rule of the whole model, by the helper, overwrites that of one part."""

    def draw(self, module):
        if isinstance(module, Embedded):
            nn.init.normal_(module.tokens.weight)
        if module is self:
            for each in (module.start.tokens, *module.blocks):
                _fill(each, 0.02)


def test_a_helper_of_several_rules_is_no_general_rule():
    assert not effects(ByHelper)


def test_a_general_rule_by_a_helper_is_found():
    (finding,) = effects(SpecialThenHelper)
    assert finding.parameters == ("start.tokens.weight",)
    assert "which sets 5 parameters, overwrites all of them later" in finding.message
