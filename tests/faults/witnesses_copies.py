"""What each fault of ``initcheck/faults/copies.py`` says, answered yes while it lasts."""

from __future__ import annotations

from torch import nn

from initcheck.networks import adapters


def drawn_factors():
    """Whether each factor of a new adapter has values other than zero."""
    adapter = adapters.Adapter(nn.Linear(4, 3), rank=2)
    return bool(adapter.lora_a.any()), bool(adapter.lora_b.any())


SAYS = {
    "adapter_drawn_whole": lambda: drawn_factors() == (True, True),
    "adapter_zeroed_whole": lambda: drawn_factors() == (False, False),
}
