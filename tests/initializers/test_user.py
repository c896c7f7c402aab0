"""A user's function becomes an initializer, or is refused with the reason."""

import inspect
import sys
from typing import ForwardRef

import pytest
import torch
from torch import Tensor, nn
from torch.nn import init

from initcheck.initializers import InitializerError, factory, he, user_initializer, zeros_


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def start(function, seed=0):
    """The parameters of a small network, all of them 7 before, after the user's function."""
    network = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4))
    for parameter in network.parameters():
        init.constant_(parameter, 7)
    user_initializer(function, "mine")(network, seeded(seed))
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def with_generator(tensor, generator):
    return init.kaiming_normal_(tensor, nonlinearity="relu", generator=generator)


def with_keyword(tensor, scale=1.0, *, generator=None):
    return tensor.normal_(generator=generator).mul_(scale)


def without_generator(tensor):
    init.normal_(tensor)


def with_new_values(tensor):
    return torch.randn(tensor.shape)


def whole_module(module):
    for parameter in module.parameters():
        init.normal_(parameter)


def whole_by_annotation(it: nn.Module, generator: torch.Generator):
    he(it, generator)
    return it


def whole_by_text(it: "torch.nn.Module"):
    whole_module(it)


FUNCTIONS = {
    "with_generator": with_generator,
    "with_keyword": with_keyword,
    "without_generator": without_generator,
    "with_new_values": with_new_values,
    "whole_module": whole_module,
    "whole_by_annotation": whole_by_annotation,
    "whole_by_text": whole_by_text,
    "torch": init.xavier_normal_,
    "builtin": torch.Tensor.normal_,
}
every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)


@every_function
def test_user_function_fills_the_weights(function):
    """The function fills every weight, whichever signature it has."""
    values = start(function)
    assert values[:12].ne(7).all()  # 3 x 4 weights, 4 biases, 4 x 4 weights, 4 biases
    assert values[16:32].ne(7).all()


@every_function
def test_user_function_follows_the_seed(function):
    """The generator alone decides, even if the function draws from the global one."""
    torch.manual_seed(1)
    one = start(function)
    torch.manual_seed(2)
    assert torch.equal(one, start(function))
    assert not torch.equal(one, start(function, seed=1))


@every_function
def test_user_function_leaves_the_global_state(function):
    """The global generator of torch does not advance, whatever the function draws."""
    network, initializer = nn.Linear(3, 4), user_initializer(function, "mine")
    before = torch.get_rng_state()
    initializer(network, seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_user_function_of_a_tensor_leaves_biases():
    """A function of one tensor receives the weights; biases stay as built."""
    assert start(with_generator)[12:16].eq(7).all()


def test_user_function_draws_like_the_built_in_initializer():
    """The function receives the generator itself, so equal laws give equal bits."""
    built_in = start(whole_by_annotation)
    assert torch.equal(start(with_generator)[:12], built_in[:12])


def test_user_function_takes_more_rules():
    """A rule by name applies after a function of the whole network."""
    network = nn.Linear(3, 4)
    user_initializer(whole_module, "mine").but("bias", zeros_)(network, seeded())
    assert network.bias.eq(0).all()
    assert network.weight.ne(0).all()


def replaces_the_shape(tensor):
    tensor.data = torch.zeros(2, 2)


def replaces_the_dtype(tensor):
    tensor.data = tensor.data.double()


def returns_the_shape(tensor):
    return torch.zeros(5)


def returns_the_dtype(tensor):
    return tensor.double()


def returns_numbers(tensor):
    return tensor.tolist()


def module_replaces_the_dtype(module):
    module.double()


def module_returns_another(module):
    return nn.Linear(3, 4)


def wants_more(tensor, mean, std):
    return tensor.normal_(mean, std)


def wants_more_and_generator(tensor, std, generator):
    return tensor.normal_(0, std, generator=generator)


def wants_nothing():
    return None


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (replaces_the_shape, r"turned a tensor \(4, 3\) of torch.float32 into one \(2, 2\) of "),
        (replaces_the_dtype, r"into one \(4, 3\) of torch.float64"),
        (returns_the_shape, r"given a tensor \(4, 3\) of torch.float32 and returned .* \(5,\) of "),
        (returns_the_dtype, r"and returned a tensor \(4, 3\) of torch.float64"),
        (returns_numbers, r"and returned <class 'list'>"),
        (module_replaces_the_dtype, r"changed their shape or dtype: 0.bias, 0.weight, 1.bias"),
        (module_returns_another, r"returned another module\. It must fill"),
        (wants_more, r"cannot be called: .* it requires mean, std"),
        (wants_more_and_generator, r"cannot be called: .* it requires std"),
        (wants_nothing, r"signature \(\), which takes neither a tensor nor a module"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_misbehaving_user_function_is_refused(function, sentence):
    """The error names the initializer and says what it did."""
    with pytest.raises(InitializerError, match=f'"mine".*{sentence}'):
        start(function)


def keeps_the_annotation(network: Tensor):
    network.fill_(1)


def test_an_annotation_overrides_the_name():
    """A tensor may be called network, if it is annotated as a tensor."""
    assert start(keeps_the_annotation)[12:16].eq(7).all()


def whole_by_reference(it):
    whole_module(it)


def network_by_reference(network):
    network.fill_(1)


@pytest.mark.parametrize(
    ("function", "text", "bias"),
    [(whole_by_reference, "nn.Module", False), (network_by_reference, "torch.Tensor", True)],
)
def test_an_annotation_that_cannot_be_resolved_is_read_as_text(monkeypatch, function, text, bias):
    """With lazy annotations, a name imported only for type checkers is a forward reference."""
    (name,) = inspect.signature(function).parameters
    monkeypatch.setattr(function, "__annotations__", {name: ForwardRef(text)})
    values = start(function)
    assert values[:12].ne(7).all()
    assert values[12:16].eq(7).all() == bias  # a function of a tensor leaves biases


class Unreadable:
    """A callable without a readable signature: its annotation names something missing."""

    @property
    def __signature__(self):
        raise NameError("name 'Tensor' is not defined")

    def __call__(self, tensor):
        return tensor.fill_(1)


def test_a_function_without_a_readable_signature_gets_a_tensor():
    """So does a builtin without a signature."""
    assert start(Unreadable())[12:16].eq(7).all()


LAZY = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from torch import Tensor, nn

def whole(it: nn.Module):
    for parameter in it.parameters():
        parameter.fill_(1)

def each(network: Tensor, *, std: Missing = 1):
    network.fill_(std)
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are lazy from Python 3.14 on")
def test_lazy_annotations_need_no_imports():
    """A function's annotations may name what is imported only for type checkers."""
    namespace = {}
    exec(compile(LAZY, "lazy", "exec", dont_inherit=True), namespace)  # noqa: S102 -- no future import
    assert start(namespace["whole"]).eq(1).all()
    assert start(namespace["each"])[12:16].eq(7).all()
    assert factory(namespace["each"]).__name__ == "each"
