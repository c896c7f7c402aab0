"""A pytest plugin that keeps only claims whose source is a notebook.

Use it with ``-p benchmarks.peers.gate_subset``.
"""


def pytest_collection_modifyitems(config, items):
    """Deselect other claims, and tests that are not claims."""
    kept = [item for item in items if _of_a_notebook(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _of_a_notebook(item):
    mark = item.get_closest_marker("initcheck_claim")
    return mark is not None and mark.kwargs["source"].startswith("notebook")
