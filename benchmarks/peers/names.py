"""Names of tools, layouts and bounds, which never change: they are keys of the stored results."""

ONE_CORE, EACH_CORE, FREE = "one core", "a process a core", "one process, all cores"

OURS = "initcheck"
NOTEBOOK, PLAIN = "notebook loop, DataLoader", "plain loop, fused optimizer"
VMAP = "torch.func vmap"
JAX = ("JAX vmap, scan", "JAX scan, one by one")
SCIKIT_LEARN, SKORCH = "scikit-learn MLPClassifier", "skorch"
MODULE = "initcheck, module engine"
TOOLS = (NOTEBOOK, PLAIN, VMAP, *JAX, SCIKIT_LEARN, SKORCH, MODULE, OURS)
BOUNDS = PRODUCTS, TRAFFIC = "bound: matrix products", "bound: optimizer traffic"

NUMPY = ("numpy.linalg.matrix_rank, float64", "numpy.linalg.matrix_rank, float32")

PYTHON, IMPORT = "python", "import initcheck"
WITHOUT, WITH = "pytest without the plugin", "pytest with the plugin"

GATE, NOTEBOOKS = "the whole gate", "the claims of the five notebooks"
LOADING = "importing torch and its optimizers"


def shown(layout):
    """The layout as the page names it."""
    return "one process per core" if layout == EACH_CORE else layout
