"""Initializers with a structure that independent draws lack: identity, orthogonal, mirrored.

A convolution has the structured matrix at the centre of its kernel, and zeros elsewhere.
"""

import math

import torch
from torch import Tensor
from torch.nn import init

from initcheck.initializers.factory import TensorInitializer, factory


def kernel_centre(tensor: Tensor) -> Tensor:
    """Return the matrix at the centre of the kernel as a view: (out, in, *kernel) to (out, in)."""
    for size in tensor.shape[2:]:
        tensor = tensor.select(2, size // 2)
    return tensor


def partial_identity_(tensor: Tensor, _generator: torch.Generator) -> Tensor:
    """Ones on the diagonal, zeros elsewhere, shape (out, in, *kernel): I* of arXiv 2110.12661."""
    return init.eye_(tensor) if tensor.dim() == 2 else init.dirac_(tensor)


def dirac_(tensor: Tensor, _generator: torch.Generator) -> Tensor:
    """The identity as a convolution, shape (out, in, *kernel), one to three kernel axes."""
    return init.dirac_(tensor)


def hadamard_matrix(order: int) -> Tensor:
    """Return Sylvester's Hadamard matrix of +-1, shape (2^order, 2^order), float32."""
    matrix = torch.ones(1, 1)
    for _ in range(order):
        matrix = torch.kron(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), matrix)
    return matrix


@torch.no_grad()
def hadamard_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """ZerO, shape (out, in, *kernel): the identity, or a Hadamard transform if the layer widens.

    For out <= in, the partial identity. For out > in, W = 2^(-m/2) I* H I* with
    m = ceil(log2(out)); its columns are orthonormal if and only if out is a power of two.
    Nothing is drawn.
    Source: Zhao et al., arXiv 2110.12661 Algorithm 1, and Algorithm 2 for kernels. The factor is
    from the authors' code, because the printed 2^(-(m-1)/2) is not orthonormal.
    """
    rows, columns = tensor.shape[:2]
    if rows <= columns:
        return partial_identity_(tensor, generator)
    order = (rows - 1).bit_length()  # ceil(log2(rows)), without rounding
    tensor.zero_()
    kernel_centre(tensor).copy_(hadamard_matrix(order)[:rows, :columns]).mul_(2 ** (-order / 2))
    return tensor


@factory
def padded_identity_(noise: float = 0.0) -> TensorInitializer:
    """The identity repeated until it fills the matrix, plus N(0, noise^2).

    Shape (out, in, *kernel); W_ij = 1 where i = j modulo the smaller of out and in. Without noise
    the copies remain identical units forever, so noise is added to every entry of the matrix. With
    noise 0, nothing is drawn.
    Source: Pan et al. (IDInit), arXiv 2503.04626, for matrices; its layout of kernels differs.
    """

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        rows, columns = tensor.shape[:2]
        offset = torch.arange(rows)[:, None] - torch.arange(columns)  # (out, in)
        centre = kernel_centre(tensor.zero_()).copy_(offset % min(rows, columns) == 0)
        if noise:
            centre.add_(init.normal_(torch.empty_like(centre), std=noise, generator=generator))
        return tensor

    return fill


@torch.no_grad()
def one_n_each_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """OnE, shape (out, in, *kernel): one 1 in each row, so that each output unit copies one input.

    The inputs follow a random permutation, and a new one once all inputs are used: no input is
    copied twice before every input has been copied once. Source: notebook 002.
    """
    rows, columns = tensor.shape[:2]
    rounds = math.ceil(rows / columns)
    inputs = torch.cat([torch.randperm(columns, generator=generator) for _ in range(rounds)])
    tensor.zero_()
    kernel_centre(tensor)[torch.arange(rows), inputs[:rows]] = 1
    return tensor


@torch.no_grad()
def spray_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Spray, W = (1 - OnE) / (in - 1), shape (out, in, *kernel): the mean of all inputs but one.

    Source: notebook 002.

    Raises:
        ValueError: the layer has a single input, so there is none to average.
    """
    columns = tensor.shape[1]
    if columns == 1:
        raise ValueError("spray_ averages all inputs but one, but this layer has a single input.")
    return average_others_(one_n_each_(tensor, generator))


def average_others_(tensor: Tensor) -> Tensor:
    """Turn OnE into Spray in place: each row averages the inputs that it did not copy."""
    kernel_centre(tensor).neg_().add_(1).div_(tensor.shape[1] - 1)
    return tensor


@factory
def orthogonal_(gain: float = 1.0) -> TensorInitializer:
    """`gain` times a Haar-distributed matrix with orthonormal rows or columns.

    Shape (out, in, *kernel), filled as a matrix (out, in * prod(kernel)).
    Source: Saxe et al., arXiv 1312.6120; the signs: Mezzadri, math-ph/0609050.
    """

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        return init.orthogonal_(tensor, gain=gain, generator=generator)

    return fill


@factory
def delta_orthogonal_(gain: float = 1.0) -> TensorInitializer:
    """An orthogonal matrix at the centre of the kernel, shape (out, in, *kernel) or (out, in).

    The layer multiplies the norm of its input by `gain` if out >= in, and by less if out < in.
    Source: Xiao et al., arXiv 1806.05393 Algorithm 2.
    """

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        tensor.zero_()
        init.orthogonal_(kernel_centre(tensor), gain=gain, generator=generator)
        return tensor

    return fill


@factory
def looks_linear_(initializer: TensorInitializer) -> TensorInitializer:
    """[[W0, -W0], [-W0, W0]], shape (2a, 2b, *kernel), with W0 (a, b, *kernel) from `initializer`.

    On mirrored inputs [z, -z], a ReLU network of such layers is linear in z, because
    relu(z) - relu(-z) = z.
    Source: Balduzzi et al., arXiv 1702.08591 section 4; Burkholz & Dubatovka, arXiv 1806.06362.

    Raises:
        ValueError: the number of inputs or outputs is odd, so one of them has no mirror image.
    """

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        rows, columns = tensor.shape[:2]
        if rows % 2 or columns % 2:
            raise ValueError(
                "looks_linear_ needs an even number of outputs and of inputs, but this weight is "
                f"{rows} x {columns}."
            )
        half = tensor.new_empty(rows // 2, columns // 2, *tensor.shape[2:])
        half = initializer(half, generator)
        return tensor.copy_(torch.cat([torch.cat([half, -half], 1), torch.cat([-half, half], 1)]))

    return fill
