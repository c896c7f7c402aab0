"""Networks: what a Network is, perceptrons, and those in which an initializer is judged."""

from initcheck.networks.network import ACTIVATIONS, Network, NetworkError, mlp, pooled

__all__ = ["ACTIVATIONS", "Network", "NetworkError", "mlp", "pooled"]
