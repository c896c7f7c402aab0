"""Every task of the project: `nox --list` lists them, `nox` runs tests, lint and types."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types"]
nox.options.default_venv_backend = "venv"  # pip, so that your own index and proxy settings apply
nox.options.error_on_missing_interpreters = True

# torch, its torchvision, and the oldest and newest Python for which both have wheels.
PAIRS = (
    ("2.4.1", "0.19.1", (3, 8), (3, 12)),
    ("2.5.1", "0.20.1", (3, 8), (3, 12)),
    ("2.6.0", "0.21.0", (3, 9), (3, 13)),
    ("2.7.1", "0.22.1", (3, 9), (3, 13)),
    ("2.8.0", "0.23.0", (3, 9), (3, 13)),
    ("2.9.1", "0.24.1", (3, 10), (3, 14)),
    ("2.10.0", "0.25.0", (3, 10), (3, 14)),
    ("2.11.0", "0.26.0", (3, 10), (3, 14)),
    ("2.12.1", "0.27.1", (3, 10), (3, 14)),
    ("2.13.0", "0.28.0", (3, 10), (3, 14)),
    ("2.14.1", "0.29.1", (3, 10), (3, 14)),
    ("2.15.0", "0.29.2", (3, 11), (3, 15)),
)
# A claim of each mechanism that has a picture; none of them trains for more than seconds.
PICTURED = (
    "all_zero_network_learns_the_shares",
    "zeroed_layer_keeps_atom_at_zero", "weight_decay_breaks_confinement",
    "first_step_of_wave_has_rank_one", "clamped_loss_counts_errors", "mup_step_moves_wide",
    "attention_without_skips", "zero_is_identity_where_nothing_widens",
    "relu_layers_multiply_the_moment",
)  # fmt: skip
WHEEL_BYTES = 3_000_000  # at most: the embedded digits and the evidence take 1.8 million
PROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def tests(session: nox.Session) -> None:
    """Test the package itself with the newest torch."""
    session.install("--editable", ".[test]")
    session.run("pytest", "tests", *session.posargs)


@nox.session
@nox.parametrize("pair", PAIRS, ids=[f"torch-{pair[0]}" for pair in PAIRS])
def benchmarks(
    session: nox.Session, pair: tuple[str, str, tuple[int, ...], tuple[int, ...]]
) -> None:
    """Run the gate with one torch and the torchvision made for it."""
    torch, torchvision, oldest, newest = pair
    if not oldest <= sys.version_info[:2] <= newest:
        first, last = (".".join(map(str, version)) for version in (oldest, newest))
        session.skip(f"torch {torch} has wheels for Python {first} to {last} only")
    session.install(f"torch=={torch}", f"torchvision=={torchvision}", "--editable", ".")
    session.run("python", "-c", _assert_installed(torch=torch, torchvision=torchvision))
    session.run("pytest", "benchmarks", *session.posargs)


@nox.session
def matrix(session: nox.Session) -> None:
    """Run the gate with every pair of torch and torchvision; write baselines/VERSIONS.md."""
    session.install("--editable", ".[test]")
    pairs = [f"--pair={torch},{torchvision}" for torch, torchvision, *_ in PAIRS]
    session.run("python", "-m", "tests.versions", *pairs, *session.posargs)


@nox.session
def xla(session: nox.Session) -> None:
    """Run each file of claims on XLA's CPU client, in a separate process."""
    session.install(*nox.project.dependency_groups(PROJECT, "xla"), "--editable", ".[test]")
    command = ("python", "-m", "tests.versions.apart", "--device=xla", *session.posargs)
    session.run(*command, env={"PJRT_DEVICE": "CPU"})


@nox.session
def accelerator(session: nox.Session) -> None:
    """Run everything on an accelerator: `nox -s accelerator -- --device cuda --json gpu.json`."""
    session.install("--editable", ".[test]")
    session.run("python", "-m", "tests.accelerator", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, and that imports respect the layers."""
    session.install("--editable", ".")
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")
    session.notify("workflows")


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflows of .github/ with actionlint and zizmor; `lint` runs this, too."""
    session.install(*nox.project.dependency_groups(PROJECT, "workflows"))
    session.run("actionlint")
    session.run("zizmor", "--offline", ".github/workflows")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy in strict mode."""
    session.install("--editable", ".", *nox.project.dependency_groups(PROJECT, "types"))
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site in site/, open it in chromium, and test links, code blocks and commands."""
    session.install("--editable", ".[test]", *nox.project.dependency_groups(PROJECT, "docs"))
    session.run("mkdocs", "build", "--strict")
    pages = ("docs", "readme", "mechanisms", "tutorials", "site")
    session.run("pytest", *(f"tests/test_{name}.py" for name in pages), *session.posargs)


@nox.session
def record(session: nox.Session) -> None:
    """Record new evidence: `nox -s record -- "the reason"`, then options of `initcheck record`."""
    if not session.posargs:
        session.error('Recording needs a reason. Run: nox -s record -- "the reason"')
    session.install("--editable", ".")
    session.run("initcheck", "record", *session.posargs)


@nox.session
def pictures(session: nox.Session) -> None:
    """Run a claim per picture, and draw docs/pictures/NAME.svg from the results."""
    session.install("--editable", ".")
    recorded = str(Path(session.create_tmp()).resolve() / "run.json")
    wanted = " or ".join(PICTURED)
    session.run(
        "pytest", "benchmarks", "-q", "-k", wanted, "--initcheck-device", "cpu",
        "--initcheck-pictures", "--initcheck-json", recorded, *session.posargs,
    )  # fmt: skip
    session.run("initcheck", "report", recorded, "--pictures", "docs/pictures")


@nox.session
def peers(session: nox.Session) -> None:
    """Time the same training in other tools and write benchmarks/peers/RESULTS.md."""
    session.install("--editable", ".", *nox.project.dependency_groups(PROJECT, "peers"))
    session.run("python", "-m", "benchmarks.peers", *session.posargs)


@nox.session
def reproduce(session: nox.Session) -> None:
    """Run the notebooks' own protocols: `nox -s reproduce -- --data-root DIR --list`."""
    session.install("--editable", ".")
    session.run("python", "-m", "initcheck.notebooks", *session.posargs)


@nox.session
def operating(session: nox.Session) -> None:
    """Measure how often the gate is wrong and write OPERATING.md: `nox -s operating -- --help`."""
    session.install("--editable", ".")
    session.run("python", "-m", "initcheck.error_rates", *session.posargs)


@nox.session
def inspected(session: nox.Session) -> None:
    """Inspect models of other libraries that are right, and write baselines/INSPECTED.md."""
    session.install("--editable", ".[test]", *nox.project.dependency_groups(PROJECT, "inspected"))
    session.run("python", "-m", "tests.inspection", *session.posargs)


@nox.session
def callbacks(session: nox.Session) -> None:
    """Test the callbacks for Lightning and transformers with the libraries themselves."""
    session.install("--editable", ".[test]", *nox.project.dependency_groups(PROJECT, "callbacks"))
    files = ("tests/trajectory/test_lightning.py", "tests/trajectory/test_trainer.py")
    session.run("pytest", *files, *session.posargs)


@nox.session
def unchanged(session: nox.Session) -> None:
    """Break and change the loops of examples/, and write baselines/UNCHANGED.md."""
    session.install("--editable", ".[test]")
    session.run("python", "-m", "tests.trajectory", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, check its size and contents, and run the gate from it elsewhere."""
    folder = Path(session.create_tmp())
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), ".")
    (built,) = folder.glob("*.whl")
    problems = _wheel_problems(built)
    if problems:
        session.error(" ".join(problems))
    session.install(str(built))
    session.chdir(folder)  # in the checkout, pytest would find benchmarks/ there
    session.run("pytest", "--pyargs", "initcheck_benchmarks", *session.posargs)


def _wheel_problems(wheel: Path) -> list[str]:
    """What is wrong with the wheel: its size, a file it lacks, a file it must not have."""
    names = zipfile.ZipFile(wheel).namelist()
    baselines = "initcheck_benchmarks/baselines/"
    needed = ("limits.toml", "known_failures.toml", "evidence.json.xz", "OPERATING.md",
              "REPRODUCTION.md", "VERSIONS.md")  # fmt: skip
    required = [baselines + name for name in needed] + [
        "initcheck/datasets/mnist5k.npz", "initcheck/datasets/mnist5k.txt",
        "initcheck/results/results.schema.json", "initcheck/baselines/evidence.schema.json",
        "initcheck/report/templates/page.html.j2",
        "initcheck_benchmarks/docs/sources.md", "initcheck_benchmarks/docs/refuted.md",
    ]  # fmt: skip
    excluded = [
        baselines + "operating/", baselines + "reproduced/", baselines + "evidence/",
        baselines + "versions/",
        "initcheck_benchmarks/peers/", "initcheck_benchmarks/bootstrap.py",
        "initcheck_benchmarks/stages.py",
    ]  # fmt: skip
    size = wheel.stat().st_size
    problems = [f"The wheel has {size:,} bytes, more than {WHEEL_BYTES:,}."] * (size > WHEEL_BYTES)
    for prefix in required:
        if not any(name.startswith(prefix) for name in names):
            problems.append(f"The wheel lacks {prefix}.")
    for prefix in excluded:
        if any(name.startswith(prefix) for name in names):
            problems.append(f"The wheel contains {prefix}, which belongs in a checkout only.")
    return problems


def _assert_installed(**versions: str) -> str:
    """A program that fails unless these versions are installed; labels such as +cpu are ignored."""
    return (
        "from importlib.metadata import version\n"
        f"for name, requested in {versions}.items():\n"
        "    installed = version(name).partition('+')[0]\n"
        "    assert installed == requested, f'{name} is {installed}, but {requested} was requested'"
    )
