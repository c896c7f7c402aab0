"""Structured weights have exactly their structure, as matrices and at the centre of kernels."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn
from torch.nn import functional, init

from initcheck.initializers import independent, structured

DTYPES = {
    torch.float32: 1e-5,
    torch.float64: 1e-13,
}  # with what is left of orthogonality by rounding
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
SIZES = [(6, 6), (4, 9), (9, 4), (1, 5), (5, 1)]
every_size = pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
KERNELS = {"matrix": (), "conv1d": (3,), "conv2d": (3, 5), "conv3d": (3, 3, 3)}
every_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


def fill(initializer, *shape, dtype=torch.float32, seed=0):
    """The initializer's result on a tensor with other values in it."""
    generator = torch.Generator().manual_seed(seed)
    return initializer(torch.full(shape, torch.nan, dtype=dtype), generator)


def at_centre(matrix, kernel):
    """The weight (out, in, *kernel) that is zero but for a matrix at the centre of the kernel."""
    weight = torch.zeros(*matrix.shape, *kernel, dtype=matrix.dtype)
    weight[(..., *(length // 2 for length in kernel))] = matrix
    return weight


def departure_from_identity(matrix):
    """The largest entry of |M - I|."""
    return float((matrix - torch.eye(len(matrix), dtype=matrix.dtype)).abs().max())


# Identities


@every_kernel
@every_size
def test_partial_identity_is_one_on_the_diagonal(size, kernel):
    """Entry (i, j) is 1 where i = j and 0 elsewhere, at the centre of the kernel."""
    expected = torch.from_numpy(np.equal.outer(*map(np.arange, size))).float()
    assert torch.equal(
        fill(structured.partial_identity_, *size, *kernel), at_centre(expected, kernel)
    )


@every_dtype
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("initializer", [structured.dirac_, structured.partial_identity_])
def test_dirac_convolution_is_the_identity(initializer, axes, dtype):
    """A Dirac convolution with same padding and as many channels returns its input bit for bit."""
    images = torch.randn(2, 4, *[5] * axes, dtype=dtype, generator=torch.Generator())
    convolve = getattr(functional, f"conv{axes}d")
    weight = fill(initializer, 4, 4, *[3] * axes, dtype=dtype)
    assert torch.equal(convolve(images, weight, padding=1), images)


@every_kernel
@pytest.mark.parametrize(
    ("size", "repeats"), [((6, 2), (3, 1)), ((2, 6), (1, 3)), ((4, 4), (1, 1))], ids=str
)
def test_padded_identity_repeats_the_identity(size, repeats, kernel):
    """Without noise, identities are repeated along the longer side."""
    expected = torch.eye(min(size)).repeat(repeats)
    assert torch.equal(
        fill(structured.padded_identity_(), *size, *kernel), at_centre(expected, kernel)
    )


def test_padded_identity_stops_where_the_matrix_ends():
    """A last copy that does not fit is cut off."""
    expected = torch.tensor([[1.0, 0], [0, 1], [1, 0]])
    assert torch.equal(fill(structured.padded_identity_(), 3, 2), expected)


@every_dtype
def test_padded_identity_adds_its_noise(dtype):
    """The noise has the requested standard deviation, within six standard errors."""
    shape = 200, 100
    clean = fill(structured.padded_identity_(), *shape, dtype=dtype)
    noise = fill(structured.padded_identity_(0.02), *shape, dtype=dtype) - clean
    assert float(noise.std()) == pytest.approx(0.02, rel=6 / math.sqrt(2 * noise.numel()))
    assert abs(float(noise.mean())) <= 6 * 0.02 / math.sqrt(noise.numel())


# The Hadamard transform, as ZerO uses it


@every_kernel
@pytest.mark.parametrize("size", [(6, 6), (4, 9), (8, 8), (1, 5)], ids=str)
def test_hadamard_is_partial_identity_unless_it_widens(size, kernel):
    """With no more outputs than inputs, ZerO and the partial identity are bit-equal."""
    zero = fill(structured.hadamard_, *size, *kernel)
    assert torch.equal(zero, fill(structured.partial_identity_, *size, *kernel))


@every_dtype
@pytest.mark.parametrize("size", [(8, 5), (16, 3), (64, 49), (128, 49), (2, 1)], ids=str)
def test_hadamard_columns_are_orthonormal(size, dtype):
    """With 2^m outputs, more than inputs, the columns are orthonormal."""
    weight = fill(structured.hadamard_, *size, dtype=dtype)
    assert departure_from_identity(weight.T @ weight) <= DTYPES[dtype]


@pytest.mark.parametrize("size", [(100, 49), (6, 5), (3, 2)], ids=str)
def test_hadamard_columns_are_not_orthonormal_otherwise(size):
    """If the number of outputs is not a power of two, the cut Hadamard matrix is not orthogonal."""
    weight = fill(structured.hadamard_, *size)
    assert departure_from_identity(weight.T @ weight) > 0.2  # 0.219 at 100 x 49


@every_kernel
@pytest.mark.parametrize(
    ("size", "order"), [((8, 5), 3), ((16, 9), 4), ((9, 8), 4), ((100, 49), 7)], ids=str
)
def test_hadamard_is_the_scaled_cut_matrix(size, order, kernel):
    """W = 2^(-m/2) I* H I* with m = ceil(log2(out)), against scipy's Hadamard matrix."""
    rows, columns = size
    cut = torch.from_numpy(linalg.hadamard(2**order)[:rows, :columns] * 2 ** (-order / 2)).float()
    assert torch.equal(fill(structured.hadamard_, *size, *kernel), at_centre(cut, kernel))


# OnE and Spray


@every_kernel
@every_size
def test_one_n_each_copies_one_input_an_output(size, kernel):
    """Each row of OnE holds a single 1, zeros else, all at the centre of the kernel."""
    centre = structured.kernel_centre(fill(structured.one_n_each_, *size, *kernel))
    assert centre.sum(1).eq(1).all()
    assert centre.eq(1).sum() == size[0]


@every_kernel
@every_size
def test_one_n_each_leaves_the_rest_of_the_kernel_zero(size, kernel):
    """All but the centre of the kernel is zero."""
    weight = fill(structured.one_n_each_, *size, *kernel)
    assert weight.count_nonzero() == size[0]


@every_size
def test_one_n_each_uses_inputs_evenly(size):
    """No input is copied twice more often than another."""
    copies = fill(structured.one_n_each_, *size).sum(0)
    assert copies.max() - copies.min() <= 1


def copies_of_each_input(draws_made):
    """How often the first of four outputs copies each of eight inputs."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.empty(4, 8)
    return sum(structured.one_n_each_(weight, generator)[0].clone() for _ in range(draws_made))


def test_one_n_each_draws_every_input_equally_often():
    """Each input is as likely as another: counts lie within six standard errors of their mean."""
    made, share = 2000, 1 / 8
    error = math.sqrt(made * share * (1 - share))
    assert (copies_of_each_input(made) - made * share).abs().max() <= 6 * error


@every_kernel
@pytest.mark.parametrize("size", [(6, 6), (4, 9), (9, 4)], ids=str)
def test_spray_is_the_mean_of_the_other_inputs(size, kernel):
    """W = (1 - OnE) / (in - 1) with the OnE of the same seed."""
    one = structured.kernel_centre(fill(structured.one_n_each_, *size, *kernel))
    expected = at_centre((1 - one) / (size[1] - 1), kernel)
    assert torch.equal(fill(structured.spray_, *size, *kernel), expected)


def test_spray_refuses_a_single_input():
    """With one input there is nothing to average, and the error says so."""
    with pytest.raises(ValueError, match="this layer has a single input"):
        fill(structured.spray_, 3, 1)


# Orthogonal


@every_dtype
@pytest.mark.parametrize("gain", [1, 1.5])
@pytest.mark.parametrize("shape", [(20, 20), (12, 30), (30, 12), (8, 3, 3, 3)], ids=str)
def test_orthogonal_has_orthonormal_rows_or_columns(shape, gain, dtype):
    """The shorter side of the matrix (out, in * kernel) is orthogonal, with squared norm gain^2."""
    weight = fill(structured.orthogonal_(gain), *shape, dtype=dtype).flatten(1) / gain
    short = weight if weight.shape[0] <= weight.shape[1] else weight.T
    assert departure_from_identity(short @ short.T) <= DTYPES[dtype]


def traces(initializer, *, size, count):
    """The traces of that many draws, shape (count,)."""
    generator = torch.Generator().manual_seed(16)
    weight = torch.empty(size, size)
    return torch.stack([initializer(weight, generator).trace() for _ in range(count)])


def test_orthogonal_is_uniform_under_rotations():
    """The trace of a Haar matrix has mean 0 and variance 1; raw QR has -2.4 and 0.61 (16 x 16)."""
    count = 2000
    drawn = traces(structured.orthogonal_(), size=16, count=count)
    assert abs(float(drawn.mean())) <= 6 / math.sqrt(count)
    assert float(drawn.var()) == pytest.approx(1, abs=6 * math.sqrt(2 / count))


@every_dtype
@pytest.mark.parametrize("gain", [1, 2])
@pytest.mark.parametrize("channels", [(6, 6), (9, 4)], ids=str)
def test_delta_orthogonal_multiplies_norms_by_its_gain(channels, gain, dtype):
    """A delta-orthogonal convolution multiplies the norm of any image by the gain itself."""
    images = torch.randn(1, channels[1], 7, 7, dtype=dtype, generator=torch.Generator())
    weight = fill(structured.delta_orthogonal_(gain), *channels, 3, 3, dtype=dtype)
    ratio = functional.conv2d(images, weight, padding=1).norm() / images.norm()
    assert float(ratio) == pytest.approx(gain, rel=DTYPES[dtype])


@every_kernel
def test_delta_orthogonal_is_zero_off_centre(kernel):
    """Only the centre of the kernel is not zero, and it is an orthogonal matrix."""
    weight = fill(structured.delta_orthogonal_(), 5, 5, *kernel)
    centre = structured.kernel_centre(weight)
    assert departure_from_identity(centre @ centre.T) <= DTYPES[torch.float32]
    assert torch.equal(weight, at_centre(centre, kernel))


# Mirrored


@every_kernel
def test_looks_linear_mirrors_a_smaller_draw(kernel):
    """The weight is [[W0, -W0], [-W0, W0]] with W0 drawn by the given initializer."""
    half = fill(independent.he_normal_, 3, 2, *kernel)
    expected = torch.cat([torch.cat([half, -half], 1), torch.cat([-half, half], 1)])
    assert torch.equal(
        fill(structured.looks_linear_(independent.he_normal_), 6, 4, *kernel), expected
    )


def mirrored_network(depth, width):
    """A bias-free ReLU network of looks-linear orthogonal layers."""
    initializer = structured.looks_linear_(structured.orthogonal_())
    layers = [nn.Linear(width, width, bias=False) for _ in range(depth)]
    for seed, layer in enumerate(layers):
        initializer(layer.weight, torch.Generator().manual_seed(seed))
    return nn.Sequential(*[part for layer in layers for part in (layer, nn.ReLU())][:-1])


def test_looks_linear_network_is_as_good_as_linear():
    """On mirrored inputs, thirty ReLU layers double every norm once and then keep it."""
    images = torch.randn(5, 16, generator=torch.Generator())
    mirrored = torch.cat([images, -images], 1)
    ratio = mirrored_network(30, 32)(mirrored).norm(dim=1) / mirrored.norm(dim=1)
    # The first layer adds up W0 z and -W0 (-z); later ones subtract relu(-y) from relu(y), y again.
    assert ratio.detach().tolist() == pytest.approx([2.0] * 5, rel=1e-4)


@pytest.mark.parametrize("size", [(3, 4), (4, 3)], ids=str)
def test_looks_linear_refuses_odd_sizes(size):
    """An odd number of inputs or outputs has no mirror, and the error gives the size."""
    with pytest.raises(ValueError, match=f"even number .* {size[0]} x {size[1]}"):
        fill(structured.looks_linear_(independent.he_normal_), *size)


WRAPPED = {
    "eye_": (structured.partial_identity_, (4, 4)),
    "dirac_": (structured.dirac_, (4, 4, 3)),
    "orthogonal_": (structured.orthogonal_(), (4, 4)),
}


@pytest.mark.parametrize("wrapped", WRAPPED)
def test_a_fault_in_structures_of_torch_is_seen(wrapped, monkeypatch):
    """Functions of torch are looked up at each call, so a fault in torch shows here."""
    monkeypatch.setattr(init, wrapped, lambda tensor, *_, **__: tensor.fill_(123))
    initializer, shape = WRAPPED[wrapped]
    assert fill(initializer, *shape).eq(123).all()
