"""The notebooks' convolutional networks: outputs, numbers of parameters, and stacked form."""

import pytest
import torch

from initcheck.notebooks.networks import cifar_cnn, mnist_cnn, small_batch_norm_cnn
from initcheck.training.stacked import stack

# Layer by layer: outputs x (inputs x kernel + 1), and two numbers per normalized channel.
CIFAR_CONVOLUTIONS = 896 + 18_496 + 128 + 73_856 + 147_584 + 256 + 295_168 + 590_080 + 512

CASES = [
    (mnist_cnn(), (1, 28, 28), 416 + 12_832 + 250_890),
    (small_batch_norm_cnn(), (1, 28, 28), 40 + 296 + 16 + 4_128 + 330),
    (cifar_cnn(), (3, 32, 32), CIFAR_CONVOLUTIONS + 4_195_328 + 524_800 + 5_130),
]
IDS = ["mnist", "small", "cifar"]


@pytest.mark.parametrize(("network", "shape", "parameters"), CASES, ids=IDS)
def test_network_gives_ten_logits_per_image(network, shape, parameters):
    module = network.fresh(0)
    assert module(torch.zeros(2, *shape)).shape == (2, 10)
    assert sum(p.numel() for p in module.parameters()) == parameters


@pytest.mark.parametrize(("network", "shape", "parameters"), CASES, ids=IDS)
def test_network_has_a_stacked_form(network, shape, parameters):
    assert stack([network.fresh(0)], "cpu") is not None


def test_protocols_and_claims_name_the_same_network_differently():
    """Their stored runs and evidence are found by these names."""
    assert mnist_cnn("elu").name == "mnist cnn 16-32 elu"
    assert mnist_cnn("elu", "mnist cnn").name == "mnist cnn elu"
    assert cifar_cnn("elu").name == "cifar cnn, batch norm, elu"
    assert cifar_cnn("elu", "cifar cnn").name == "cifar cnn elu"
