"""Rules for the package's source. import-linter checks the layers (pyproject.toml)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "initcheck"

# These modules are imported in every pytest run or by every command, so they must be light.
LIGHT = (
    "__init__",
    "claims",
    "plugin/__init__",
    "plugin/hooks",
    "plugin/lazy_session",
    "plugin/options",
    "plugin/reporting",
    "plugin/unmet",
    "plugin/values",
    "cli/__init__",
    "cli/main",
    "cli/doctor",
    "report/__init__",
)
RESTORES = "surroundings.py"
HEAVY = {"torch", "torchvision", "pandas", "scipy", "matplotlib"}

ACCELERATORS = {"cuda", "mps", "xpu", "xla"}
# What a file that is read could make Python run. numpy.load needs allow_pickle for that.
RUNS_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "yaml"}
RUNNING = {"eval", "exec", "torch.load", "joblib.load"}
PRIVATE_RANDOMNESS = {"Generator", "PCG64", "SeedSequence", "default_rng"}  # of numpy.random

FILES = [
    pytest.param(path, id=path.relative_to(ROOT).as_posix())
    for folder in (PACKAGE, ROOT / "benchmarks")
    for path in sorted(folder.rglob("*.py"))
]


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted name of each import; `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def at_import(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, without those under `if TYPE_CHECKING`."""
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            yield from at_import(statement.orelse)
            continue
        blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        blocks += [handler.body for handler in getattr(statement, "handlers", [])]
        if not any(blocks):
            yield statement
        for block in blocks:
            yield from at_import(block)


def dotted(node: ast.AST) -> str:
    """The dotted name of an expression such as `a.b.c`, or an empty text."""
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else ""
    return node.id if isinstance(node, ast.Name) else ""


def device_names(tree: ast.AST) -> list[str]:
    """Accelerators named in code, as a string ("cuda", "cuda:1") or as a module (torch.cuda)."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
        else:
            name = dotted(node).removeprefix("torch.").removeprefix("backends.")
        if name in ACCELERATORS and not isinstance(node, ast.Name):
            names.append(f"{name}, line {node.lineno}")
    return names


def runs_code(tree: ast.AST) -> list[str]:
    """Imports and calls by which data that is read could run as code."""
    names = [name for name in imports(tree) if name.partition(".")[0] in RUNS_CODE]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            pickles = any(
                keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
                for keyword in node.keywords
            )
            if dotted(node.func) in RUNNING or pickles:
                names.append(f"{dotted(node.func)}, line {node.lineno}")
    return names


def changes_global_randomness(call: str) -> bool:
    """Whether a function reads or changes global random state."""
    module, _, function = call.rpartition(".")
    if module in ("np.random", "numpy.random"):
        return function not in PRIVATE_RANDOMNESS
    if module == "random":
        return function != "Random"
    return call.startswith("torch.") and function in (
        "manual_seed",
        "manual_seed_all",
        "seed",
        "set_rng_state",
    )


def global_randomness(node: ast.AST, *, forked: bool = False) -> Iterator[str]:
    """Calls that touch global random state outside a `with …fork_rng(…)`."""
    if isinstance(node, ast.With):
        calls = [item.context_expr for item in node.items]
        forked |= any(isinstance(c, ast.Call) and "fork_rng" in dotted(c.func) for c in calls)
    if isinstance(node, ast.Call) and not forked and changes_global_randomness(dotted(node.func)):
        yield f"{dotted(node.func)}, line {node.lineno}"
    for child in ast.iter_child_nodes(node):
        yield from global_randomness(child, forked=forked)


def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", LIGHT)
def test_importing_it_stays_light(name):
    path = PACKAGE / f"{name}.py"
    statements = ast.Module(list(at_import(parse(path).body)), type_ignores=[])
    assert {imported.partition(".")[0] for imported in imports(statements)} & HEAVY == set()


@pytest.mark.parametrize("path", FILES)
def test_accelerators_are_named_in_devices_only(path):
    names = device_names(parse(path))
    assert not names or path.parent.name == "devices", names


@pytest.mark.parametrize("path", FILES)
def test_global_random_state_is_left_alone(path):
    if path.name == RESTORES:
        pytest.skip("it seeds the state that a user's module draws from, and restores it")
    assert list(global_randomness(parse(path))) == []


@pytest.mark.parametrize("path", FILES)
def test_no_file_that_is_read_can_run_code(path):
    assert runs_code(parse(path)) == []


# --- the functions above find code that breaks each rule


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("device = 'cuda'", 1),
        ("device = f'cuda:{i}'", 1),
        ("torch.backends.mps.is_available()", 1),
        ("'''on cuda'''", 0),
        ("cuda = 1; print(cuda)", 0),
    ],
)
def test_device_names_are_found(code, count):
    assert len(device_names(ast.parse(code))) == count


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("torch.manual_seed(0)", 1),
        ("np.random.seed(0)", 1),
        ("np.random.rand(3)", 1),
        ("random.shuffle(x)", 1),
        ("torch.default_generator.manual_seed(0)", 1),
        ("with torch.random.fork_rng(devices=[]):\n    torch.manual_seed(0)", 0),
        ("with torch.no_grad():\n    torch.manual_seed(0)", 1),
        ("torch.Generator().manual_seed(0)", 0),
        ("np.random.default_rng(0)", 0),
    ],
)
def test_global_randomness_is_found(code, count):
    assert len(list(global_randomness(ast.parse(code)))) == count


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("import pickle", 1),
        ("from yaml import safe_load", 1),
        ("eval(text)", 1),
        ("torch.load(path)", 1),
        ("np.load(path, allow_pickle=True)", 1),
        ("np.load(path, allow_pickle=False)", 0),
        ("module.eval()", 0),
        ("ast.literal_eval(text)", 0),
    ],
)
def test_ways_to_run_code_are_found(code, count):
    assert len(runs_code(ast.parse(code))) == count


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import torch", True),
        ("try:\n    from torch import nn\nexcept ImportError:\n    pass", True),
        ("class A:\n    import torch", True),
        ("def f():\n    import torch", False),
        ("if TYPE_CHECKING:\n    import torch", False),
    ],
)
def test_heavy_imports_are_found(code, heavy):
    statements = ast.Module(list(at_import(ast.parse(code).body)), type_ignores=[])
    assert ("torch" in {name.partition(".")[0] for name in imports(statements)}) == heavy
