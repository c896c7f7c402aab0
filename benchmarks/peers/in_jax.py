"""JAX's way: jit of scan over the steps, with the optimizers written out as torch defines them."""

import jax
import numpy as np
from jax import numpy as jnp


def way(job, *, together):
    """All replicas in one call by vmap, or one after the other."""
    scan = _scan(job)
    compiled = jax.jit(jax.vmap(scan) if together else scan)
    orders = jnp.asarray(job.orders.numpy())

    def all_in_one():
        stacked = jax.tree.map(lambda *each: np.stack(each), *job.weights())
        return np.asarray(compiled(stacked, orders)[1])

    def one_by_one():
        pairs = zip(job.weights(), orders, strict=True)
        return np.array([compiled(*pair)[1] for pair in pairs])

    return all_in_one if together else one_by_one


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
