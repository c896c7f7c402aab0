"""Each tool: a function that prepares the job once and returns one that trains it.

The second function returns losses ``(R, steps)``. Every tool starts from the given weights and
takes the given images in the given order. ``rounds.py`` decides how many threads it may use.
"""

import copy
import os
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.utils.data import DataLoader, Dataset

from benchmarks.peers import bounds, names
from initcheck.training.train import train


class Digits(Dataset):
    """Images as in a notebook: one at a time, divided by 255 as ToTensor does."""

    def __init__(self, data) -> None:
        self.images = (data.train_inputs * 255).round().to(torch.uint8)
        self.targets = data.train_targets.tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index):
        return self.images[index].float().div(255), self.targets[index]


def _optimizer(job, parameters, **more):
    return getattr(torch.optim, job.optimizer)(parameters, lr=job.learning_rate, **more)


def notebook(job):
    """A DataLoader, the optimizer with its defaults, and ``loss.item()`` after every step."""
    data = Digits(job.data)

    def one(model, batches):
        optimizer = _optimizer(job, model.parameters())
        losses = []
        for images, targets in DataLoader(data, batch_sampler=batches.tolist()):
            loss = F.cross_entropy(model(images), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    return lambda: np.array([one(*pair) for pair in zip(job.starts(), job.orders, strict=True)])


def plain(job):
    """Data in memory, the fused optimizer, and no ``.item()``."""

    def one(model, batches):
        optimizer = _optimizer(job, model.parameters(), fused=True)
        losses = torch.empty(job.steps)
        for step, images in enumerate(batches):
            loss = F.cross_entropy(
                model(job.data.train_inputs[images]), job.data.train_targets[images]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[step] = loss.detach()
        return losses.numpy()

    return lambda: np.array([one(*pair) for pair in zip(job.starts(), job.orders, strict=True)])


def torch_func(job):
    """``vmap`` over ``grad_and_value``, and the fused optimizer on stacked parameters."""
    template = job.starts()[0]

    def loss(parameters, images, targets):
        return F.cross_entropy(torch.func.functional_call(template, parameters, (images,)), targets)

    mapped = torch.func.vmap(torch.func.grad_and_value(loss))

    def run():
        parameters, _ = torch.func.stack_module_state(job.starts())
        parameters = {name: p.detach() for name, p in parameters.items()}
        optimizer = _optimizer(job, parameters.values(), fused=True)
        losses = torch.empty(job.steps, len(job.seeds))
        for step in range(job.steps):
            images = job.orders[:, step]
            grads, losses[step] = mapped(
                parameters, job.data.train_inputs[images], job.data.train_targets[images]
            )
            for name, p in parameters.items():
                p.grad = grads[name]
            optimizer.step()
        return losses.T.numpy()

    return run


def initcheck(job):
    """The default engine of initcheck, with one job per core that this process may run on."""
    jobs = len(os.sched_getaffinity(0))

    def run():
        return train(job.arm, job.seeds, job.data, jobs=jobs).losses.numpy()

    return run


def initcheck_module(job):
    """The module engine of initcheck."""

    def run():
        return train(job.arm, job.seeds, job.data, engine="module").losses.numpy()

    return run


def in_jax(job, *, together):
    """JAX, with all replicas together or one by one."""
    from benchmarks.peers import jax_tool  # noqa: PLC0415 -- a heavy import that no other tool needs

    return jax_tool.prepare(job, together=together)


def scikit_learn(job):
    """``MLPClassifier.partial_fit`` on each batch; its Adam adds epsilon before bias correction."""
    from sklearn.neural_network import MLPClassifier  # noqa: PLC0415 -- a heavy import that no other tool needs

    inputs = job.data.train_inputs.flatten(1).numpy()
    targets = job.data.train_targets.numpy()
    template = MLPClassifier(
        job.widths[1:-1], solver=job.optimizer.lower(), alpha=0, batch_size=job.batch,
        learning_rate_init=job.learning_rate, momentum=0, nesterovs_momentum=False, random_state=0,
    )  # fmt: skip
    first = slice(job.batch)
    template.partial_fit(inputs[first], targets[first], classes=np.arange(job.widths[-1]))
    del template._optimizer  # noqa: SLF001 -- the next call makes one for the weights set below

    def one(weights, batches):
        model = copy.deepcopy(template)
        model.coefs_ = [weight for weight, _ in weights]
        model.intercepts_ = [bias for _, bias in weights]
        losses = []
        for images in batches:
            model.partial_fit(inputs[images], targets[images])
            losses.append(model.loss_)
        return losses

    orders = job.orders.numpy()
    return lambda: np.array([one(*pair) for pair in zip(job.weights(), orders, strict=True)])


def skorch(job):
    """``skorch.NeuralNetClassifier``, one fit with as many batches as there are steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skorch import NeuralNetClassifier  # noqa: PLC0415 -- a heavy import that no other tool needs

    inputs, targets = job.data.train_inputs.numpy(), job.data.train_targets.numpy()

    def one(start, batches):
        def loader(dataset, **_):
            return DataLoader(dataset, batch_sampler=batches.tolist())

        net = NeuralNetClassifier(
            start, criterion=nn.CrossEntropyLoss, optimizer=getattr(torch.optim, job.optimizer),
            lr=job.learning_rate, max_epochs=1, train_split=None, iterator_train=loader, verbose=0,
        )  # fmt: skip
        net.fit(inputs, targets)
        return net.history[-1, "batches", :, "train_loss"]

    return lambda: np.array([one(*pair) for pair in zip(job.starts(), job.orders, strict=True)])


TOOLS = {
    names.NOTEBOOK: notebook,
    names.PLAIN: plain,
    names.VMAP: torch_func,
    names.JAX[0]: lambda job: in_jax(job, together=True),
    names.JAX[1]: lambda job: in_jax(job, together=False),
    names.SCIKIT_LEARN: scikit_learn,
    names.SKORCH: skorch,
    names.MODULE: initcheck_module,
    names.OURS: initcheck,
    names.PRODUCTS: bounds.products,
    names.TRAFFIC: bounds.traffic,
}
