"""Claims about neural-network weight initialization, turned into a gate.

Each public name is imported at its first use, so ``import initcheck`` is fast and needs neither
torch nor pytest.
"""

TYPE_CHECKING = False  # true for type checkers; importing typing would be most of the cost here

if TYPE_CHECKING:
    from initcheck.arms import SGD, Adagrad, Adam, AdamW, Arm, Recipe, RMSprop
    from initcheck.claims import claim
    from initcheck.cli.run import run
    from initcheck.inspection import inspect_model
    from initcheck.networks import Network, mlp
    from initcheck.trajectory import Watch, unchanged

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Arm",
    "Network",
    "RMSprop",
    "Recipe",
    "Watch",
    "__version__",
    "claim",
    "inspect_model",
    "mlp",
    "run",
    "unchanged",
]

_HOME = {
    "Arm": "arms",
    "Recipe": "arms",
    "Adagrad": "arms",
    "Adam": "arms",
    "AdamW": "arms",
    "RMSprop": "arms",
    "SGD": "arms",
    "Network": "networks",
    "mlp": "networks",
    "claim": "claims",
    "inspect_model": "inspection",
    "run": "cli.run",
    "Watch": "trajectory",
    "unchanged": "trajectory",
}


def __getattr__(name: str) -> object:
    """Import a public name from the module that defines it."""
    if name not in _HOME:
        raise AttributeError(f"module 'initcheck' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 -- most imports of initcheck need no name

    value = getattr(import_module(f"initcheck.{_HOME[name]}"), name)
    globals()[name] = value  # the next access does not call this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
