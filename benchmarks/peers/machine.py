"""What was measured on, and with which versions."""

import datetime as dt
import os
import platform
from importlib import metadata

from initcheck import devices

PACKAGES = ("torch", "jax", "jaxlib", "scikit-learn", "skorch", "numpy", "scipy", "pytest")


def _describe(_):
    return lambda: {
        "date": str(dt.datetime.now(tz=dt.UTC).date()),
        "hardware": devices.describe("cpu")["hardware"],
        "capability": devices.describe("cpu")["capability"],
        "cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }


WAYS = {"describe": _describe}
