"""Faults of layers, losses, arithmetic and data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.utils import data
from torch.utils._python_dispatch import TorchDispatchMode

from tests.trajectory.changes import Change, Edit, Reach, replaced

#: The arguments of each product that are multiplied with each other.
FACTORS = {
    "mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "convolution": (0, 1),
    "convolution_backward": (0, 1, 2), "mkldnn_rnn_layer": (0, 1, 2),
    "_scaled_dot_product_flash_attention_for_cpu": (0, 1, 2),
    "_scaled_dot_product_flash_attention_for_cpu_backward": (0, 1, 2, 3),
}  # fmt: skip


class _Products(TorchDispatchMode):
    """Rounds the factors of all products in float32, forward and backward."""

    def __init__(self, rounded: Callable[[Tensor], Tensor], reach: Reach) -> None:
        super().__init__()
        self.rounded, self.reach = rounded, reach

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        places = FACTORS.get(func.overloadpacket.__name__, ())
        factors = {place: args[place] for place in places if args[place].dtype == torch.float32}
        if factors:
            self.reach()
            args = [self.rounded(a) if place in factors else a for place, a in enumerate(args)]
        return func(*args, **(kwargs or {}))


def bfloat16(factor: Tensor) -> Tensor:
    return factor.bfloat16().float()


def tf32(factor: Tensor) -> Tensor:
    """The factor with 10 bits of its mantissa, rounded to nearest."""
    return ((factor.contiguous().view(torch.int32) + 2**12) & -(2**13)).view(torch.float32)


def products(name: str, rounded: Callable[[Tensor], Tensor]) -> Change:
    return Change(name, lambda reach: _Products(rounded, reach))


def function(name: str, owner: Any, attribute: str, change: Callable[[Any, Reach], Any]) -> Change:
    """In place of a function of torch, one that ``change`` makes of it."""
    return Change(
        name, lambda reach: replaced(owner, attribute, lambda original: change(original, reach))
    )


def tanh_gelu(original: Any, reach: Reach) -> Any:
    def gelu(x: Tensor, approximate: str = "none") -> Tensor:
        if approximate == "none":
            reach()
        return original(x, approximate="tanh")

    return gelu


def attention(**changed: Callable[[Tensor], Any]) -> Callable[[Any, Reach], Any]:
    """Causal attention with other arguments, each a function of the queries."""

    def change(original: Any, reach: Reach) -> Any:
        def attend(q: Tensor, k: Tensor, v: Tensor, *, is_causal: bool = False) -> Tensor:
            reach()
            arguments = {"is_causal": is_causal} | {key: new(q) for key, new in changed.items()}
            return original(q, k, v, **arguments)

        return attend

    return change


def one_later(q: Tensor) -> Tensor:
    """A mask by which each position sees the next one, too."""
    return torch.ones(q.shape[-2], q.shape[-2], dtype=torch.bool, device=q.device).tril(1)


def loss(change: Callable[..., Tensor]) -> Callable[[Any, Reach], Any]:
    """A loss that is computed otherwise: ``change(original, predicted, targets, **options)``."""

    def make(original: Any, reach: Reach) -> Any:
        def changed(predicted: Tensor, targets: Tensor, **options: Any) -> Tensor:
            reach()
            return change(original, predicted, targets, **options)

        return changed

    return make


def smoothed(original: Any, logits: Tensor, targets: Tensor, **options: Any) -> Tensor:
    options["label_smoothing"] = options.get("label_smoothing", 0.0) + 1e-3
    return original(logits, targets, **options)


def shorter(original: Any, predicted: Tensor, targets: Tensor, **options: Any) -> Tensor:
    return original(predicted[:-1], targets[:-1], **options)


def one_less(original: Any, predicted: Tensor, targets: Tensor, **options: Any) -> Tensor:
    count = targets.numel()
    return original(predicted, targets, **options) * count / (count - 1)


def dropout(active: bool) -> Callable[[Any, Reach], Any]:
    def change(original: Any, reach: Reach) -> Any:
        def drop(x: Tensor, p: float, training: Any, *others: Any) -> Tensor:
            if training != active:
                reach()
            return original(x, p, active, *others)

        return drop

    return change


def coarse(original: Any, reach: Reach) -> Any:
    def softmax(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        reach()
        return original(x.bfloat16(), *args, **kwargs).to(x.dtype)

    return softmax


def one_fewer(original: Any, reach: Reach) -> Any:
    def topk(x: Tensor, k: int, *args: Any, **kwargs: Any) -> Any:
        reach()
        return original(x, k - 1, *args, **kwargs)

    return topk


def one_seed(original: Any, reach: Reach) -> Any:
    """Every worker gets the first one's seed; the page counts it as reached, being in a worker."""

    def info() -> Any:
        worker = original()
        return SimpleNamespace(id=worker.id, seed=worker.seed - worker.id)

    return info


@contextmanager
def workers_with_one_seed(reach: Reach) -> Iterator[None]:
    """As ``one_seed``, and reached where a loader starts workers."""

    def make(original: Any) -> Any:
        def iterate(self: Any) -> Any:
            if self.num_workers > 1:
                reach()
            return original(self)

        return iterate

    with (
        replaced(data, "get_worker_info", lambda original: one_seed(original, reach)),
        replaced(data.DataLoader, "__iter__", make),
    ):
        yield


def of_modules(kind: Any, **changed: Any) -> Edit:
    """Changes attributes of all modules of a kind."""

    def edit(model: nn.Module, optimizer: Optimizer) -> bool:
        modules = [module for module in model.modules() if isinstance(module, kind)]
        for module in modules:
            for name, value in changed.items():
                assert hasattr(module, name)
                setattr(module, name, value)
        return bool(modules)

    return edit


def half_gain(model: nn.Module, optimizer: Optimizer) -> bool:
    """Half of the gradient of the first norm's gain is dropped."""
    norms = (m for m in model.modules() if isinstance(m, nn.LayerNorm) and m.weight.requires_grad)
    norm = next(norms, None)
    if norm is None:
        return False
    kept = torch.arange(norm.weight.numel(), device=norm.weight.device) % 2
    norm.weight.register_hook(lambda gradient: gradient * kept)
    return True


def frozen_row(model: nn.Module, optimizer: Optimizer) -> bool:
    """The first row of the first table gets no gradient."""
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    if not tables:
        return False
    kept = torch.ones(tables[0].num_embeddings, 1, device=tables[0].weight.device)
    kept[0] = 0.0
    tables[0].weight.register_hook(lambda gradient: gradient * kept)
    return True


def named(name: str, act: Callable[[nn.Module], None]) -> Edit:
    """An edit of the module that has this name in the model."""

    def edit(model: nn.Module, optimizer: Optimizer) -> bool:
        module = dict(model.named_modules()).get(name)
        if module is not None:
            act(module)
        return module is not None

    return edit


def shift(module: nn.Module) -> None:
    """Each position reads the next one's row."""
    module.register_forward_pre_hook(lambda table, inputs: (inputs[0].roll(-1, -1),))


def cut(module: nn.Module) -> None:
    """No gradient flows into the module."""
    module.register_forward_hook(lambda router, inputs, output: output.detach())


def untied(model: nn.Module, optimizer: Optimizer) -> bool:
    """The last layer gets a copy of the table whose weight it shared."""
    parameters = model.named_parameters(remove_duplicate=False)
    names = dict(parameters)
    shared = [n for n, p in names.items() if any(p is q and n > m for m, q in names.items())]
    for name in shared:
        other = next(n for n, p in names.items() if p is names[name] and n != name)
        module = model.get_submodule(other.rpartition(".")[0])
        module.weight = nn.Parameter(names[name].detach().clone())
        optimizer.param_groups[0]["params"].append(module.weight)
    return bool(shared)


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
FAULTS = [
    products("bfloat16 products", bfloat16),
    products("TF32 products", tf32),
    function("GELU's tanh form for the exact one", functional, "gelu", tanh_gelu),
    function("router's softmax in bfloat16", functional, "softmax", coarse),
    function("top-1 for top-2", torch, "topk", one_fewer),
    function(
        "attention's scale x 1.001", functional, "scaled_dot_product_attention",
        attention(scale=lambda q: 1.001 * q.shape[-1] ** -0.5),
    ),
    function(
        "causal mask off by one", functional, "scaled_dot_product_attention",
        attention(is_causal=lambda q: False, attn_mask=one_later),
    ),
    function("label smoothing 1e-3 more", functional, "cross_entropy", loss(smoothed)),
    function("loss without the last target", functional, "cross_entropy", loss(shorter)),
    function("mean of squares divided by n - 1", functional, "mse_loss", loss(one_less)),
    function("dropout active in evaluation", functional, "dropout", dropout(active=True)),
    function("dropout inactive in training", functional, "dropout", dropout(active=False)),
    Change("LayerNorm's eps 1e-6 for 1e-5", edit=of_modules(nn.LayerNorm, eps=1e-6)),
    Change("BatchNorm's eps 1.1e-5 for 1e-5", edit=of_modules(BATCH_NORMS, eps=1.1e-5)),
    Change("BatchNorm's momentum .11 for .1", edit=of_modules(BATCH_NORMS, momentum=0.11)),
    Change("half of a LayerNorm's gain gradient dropped", edit=half_gain),
    Change("a frozen embedding row", edit=frozen_row),
    Change("a shifted position table", edit=named("positions", shift)),
    Change("router's gradient dropped", edit=named("router", cut)),
    Change("a lost tie", edit=untied),
    Change("data workers with one seed", workers_with_one_seed),
]  # fmt: skip
