"""JAX's way: jit of scan over the steps, with the optimizers written out as torch defines them."""

import threading

import jax
import numpy as np
from jax import numpy as jnp


def way(job, *, together, jobs=1):
    """All replicas in one call by vmap, or each alone.

    Args:
        job: what to train.
        together: whether replicas are mapped over.
        jobs: Python threads that share the replicas; JAX lets go of the lock while it computes.
    """
    scan = _scan(job)
    compiled = jax.jit(jax.vmap(scan) if together else scan)
    orders = jnp.asarray(job.orders.numpy())

    def share(rows, weights, losses):
        if together:
            stacked = jax.tree.map(lambda *each: jnp.stack(each), *[weights[r] for r in rows])
            losses[rows] = compiled(stacked, orders[np.array(rows)])[1]
            return
        for r in rows:
            losses[r] = compiled(weights[r], orders[r])[1]

    def run():
        weights = job.weights()  # not in the threads: constructors draw from one global generator
        losses = np.empty((job.replicas, job.steps), dtype=np.float32)
        parts = [list(range(first, job.replicas, jobs)) for first in range(jobs)]
        threads = [threading.Thread(target=share, args=(part, weights, losses)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return losses

    return run


def _scan(job):
    loss_and_gradient = jax.value_and_grad(_loss(job))
    update = {"SGD": _sgd, "Adam": _adam}[job.optimizer]

    def step(state, images):
        parameters, m, v, t = state
        value, grads = loss_and_gradient(parameters, images)
        return (*update(parameters, m, v, grads, t + 1, job.learning_rate), t + 1), value

    def scan(parameters, batches):
        nothing = jax.tree.map(jnp.zeros_like, parameters)
        return jax.lax.scan(step, (parameters, nothing, nothing, jnp.float32(0)), batches)

    return scan


def _loss(job):
    inputs = jnp.asarray(job.data.train_inputs.flatten(1).numpy())
    targets = jnp.asarray(job.data.train_targets.numpy())

    def loss(parameters, images):
        x = inputs[images]
        for number, (weight, bias) in enumerate(parameters):
            x = x @ weight + bias
            x = jax.nn.relu(x) if number < len(parameters) - 1 else x
        own = jnp.take_along_axis(jax.nn.log_softmax(x), targets[images][:, None], 1)
        return -own.mean()

    return loss


def _sgd(parameters, m, v, grads, _, rate):
    return jax.tree.map(lambda p, g: p - rate * g, parameters, grads), m, v


def _adam(parameters, m, v, grads, t, rate):  # noqa: PLR0917 -- as _sgd
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    size, root = rate / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
    moved = jax.tree.map(
        lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + 1e-8), parameters, m, v
    )
    return moved, m, v
