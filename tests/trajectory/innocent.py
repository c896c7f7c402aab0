"""Innocent changes of loops: they change rounding alone, so `unchanged` must not report them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from shutil import which
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.optim import Optimizer

from tests.trajectory.changes import Change, Reach, replaced
from tests.trajectory.faults_model import function
from tests.trajectory.faults_optimizer import setting


@contextmanager
def again(reach: Reach) -> Iterator[None]:
    """No change."""
    reach()
    yield


@contextmanager
def two_threads(reach: Reach) -> Iterator[None]:
    """Two threads; reached everywhere, since any kernel may use them."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    reach()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def without_onednn(reach: Reach) -> Iterator[None]:
    """As two threads: torch decides where it uses oneDNN."""
    reach()
    with torch.backends.mkldnn.flags(enabled=False):
        yield


def written_out(name: str, owner: Any, attribute: str, other: Callable[..., Any]) -> Change:
    """A function of torch, written with simpler ones; ``other`` gets the original first.

    Not under autocast, which would compute the simpler ones in other precisions.
    """

    def change(original: Any, reach: Reach) -> Any:
        def changed(*args: Any, **kwargs: Any) -> Any:
            if torch.is_autocast_enabled("cpu"):
                return original(*args, **kwargs)
            reach()
            return other(original, *args, **kwargs)

        return changed

    return function(f"{name} written out", owner, attribute, change)


def linear(original: Any, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    product = x @ weight.T
    return product if bias is None else product + bias


def layer_norm(original: Any, x: Tensor, shape: Any, weight: Tensor, *others: Any) -> Tensor:
    bias, eps = others
    variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
    return (x - mean) / (variance + eps).sqrt() * weight + bias


def gelu(original: Any, x: Tensor, approximate: str = "none") -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def silu(original: Any, x: Tensor, inplace: bool = False) -> Tensor:  # noqa: FBT002 -- as torch's
    return x * torch.sigmoid(x)


def cross_entropy(
    original: Any, logits: Tensor, targets: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    minus = logits.logsumexp(-1, keepdim=True) - logits
    chosen = minus.gather(1, targets[:, None]).mean()
    return (1 - label_smoothing) * chosen + label_smoothing * minus.mean()


def mse_loss(original: Any, predicted: Tensor, targets: Tensor) -> Tensor:
    return (predicted - targets).square().sum() / targets.numel()


def attention(original: Any, q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool) -> Tensor:
    assert is_causal
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    hidden = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -math.inf).softmax(-1) @ v


def softmax(original: Any, x: Tensor, dim: int) -> Tensor:
    powers = (x - x.amax(dim, keepdim=True)).exp()
    return powers / powers.sum(dim, keepdim=True)


def clip(original: Any, parameters: Any, max_norm: float) -> Tensor:
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    for gradient in gradients:
        gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


def kept_gradients(reach: Reach) -> AbstractContextManager[None]:
    """Gradients are filled with zeros in place of being dropped."""

    def make(original: Any) -> Any:
        def zero_grad(self: Optimizer) -> None:
            reach()
            original(self, set_to_none=False)

        return zero_grad

    return replaced(Optimizer, "zero_grad", make)


@contextmanager
def plain_attention(reach: Reach) -> Iterator[None]:
    """Attention by torch's kernel of plain products."""

    def make(original: Any) -> Any:
        def attend(*args: Any, **kwargs: Any) -> Tensor:
            reach()
            return original(*args, **kwargs)

        return attend

    with (
        sdpa_kernel(SDPBackend.MATH),
        replaced(functional, "scaled_dot_product_attention", make),
    ):
        yield


def channels_last(model: nn.Module, optimizer: Optimizer) -> bool:
    """Convolutions keep their weights with channels last."""
    model.to(memory_format=torch.channels_last)
    return any(isinstance(module, nn.Conv2d) for module in model.modules())


def compiled(model: nn.Module, optimizer: Optimizer) -> bool:
    """The example of compilation, compiled; the others would take minutes each."""
    meant = any(isinstance(module, nn.RMSNorm) for module in model.modules())
    if meant and which("g++"):
        model.compile()
    return meant and bool(which("g++"))


INNOCENT = {
    change.name: change
    for change in [
        Change("the same again", again),
        Change("two threads", two_threads),
        Change("without oneDNN", without_onednn),
        Change("foreach", edit=setting("foreach", lambda _: True)),
        Change("fused", edit=setting("fused", lambda _: True)),
        Change("gradients set to zero in place", kept_gradients),
        Change("channels_last", edit=channels_last),
        Change("torch.compile", edit=compiled),
        Change("attention by plain products", plain_attention),
        written_out("attention", functional, "scaled_dot_product_attention", attention),
        written_out("linear", functional, "linear", linear),
        written_out("LayerNorm", functional, "layer_norm", layer_norm),
        written_out("GELU", functional, "gelu", gelu),
        written_out("SiLU", functional, "silu", silu),
        written_out("softmax", functional, "softmax", softmax),
        written_out("cross entropy", functional, "cross_entropy", cross_entropy),
        written_out("mean of squares", functional, "mse_loss", mse_loss),
        written_out("clipping", nn.utils, "clip_grad_norm_", clip),
    ]
}

#: Innocent changes that a new process starts with: environment variables by name of the change.
PROCESSES: Mapping[str, Mapping[str, str]] = {
    "a new process": {},
    "two threads from the start": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    "no AVX": {"ATEN_CPU_CAPABILITY": "default"},
    "AVX2 for AVX-512": {"ATEN_CPU_CAPABILITY": "avx2"},
    "MKL compatible": {"MKL_CBWR": "COMPATIBLE"},
    "MKL with AVX2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "oneDNN with SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
}
#: The Python of an environment with another torch, if there is one.
OTHER_TORCH = "INITCHECK_OTHER_PYTHON"


def processes() -> dict[str, dict[str, str]]:
    """The innocent changes of processes, and another torch if there is one."""
    found = {name: dict(each) for name, each in PROCESSES.items()}
    if os.environ.get(OTHER_TORCH):
        found["another torch"] = {}
    return found
