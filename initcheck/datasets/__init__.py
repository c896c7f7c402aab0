"""Data sets as whole tensors, each with a fingerprint that evidence refers to."""

from initcheck.datasets.arrays import Arrays, DataError
from initcheck.datasets.dataset import DataSet, changes
from initcheck.datasets.loaders import DATA_ROOT_VARIABLE, KNOWN, forget, load
from initcheck.datasets.mnist5k import MNIST5K_FINGERPRINT
from initcheck.datasets.names import NAMES_FINGERPRINT

__all__ = [
    "DATA_ROOT_VARIABLE",
    "KNOWN",
    "MNIST5K_FINGERPRINT",
    "NAMES_FINGERPRINT",
    "Arrays",
    "DataError",
    "DataSet",
    "changes",
    "forget",
    "load",
]
