"""The table of the notebooks' protocols: every configuration that can be run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from initcheck.arms import SGD, Adam
from initcheck.initializers import (
    Initializer,
    constant_,
    every,
    glorot_uniform_,
    hadamard_,
    he_normal_,
    normal_,
    one_n_each_,
    ones,
    ones_,
    partial_identity_,
    spray_,
    torch_default,
    uniform_,
    zeros,
    zeros_,
)
from initcheck.networks import mlp
from initcheck.notebooks.handwritten import Handwritten
from initcheck.notebooks.networks import cifar_cnn, mnist_cnn
from initcheck.notebooks.torch_loop import Library


@dataclass(frozen=True)
class Configuration:
    """One protocol that can be run on its own.

    Attributes:
        name: the name of its files, which starts with the notebook's number.
        data: the name of the data set for ``initcheck.datasets.load``.
        minutes: approximate time per run on one idle core.
        recorded_as: names in recorded.csv that its figures are compared with; default its own.
        long: run only if ``--only`` names it, because it takes so long.
    """

    name: str
    protocol: Library | Handwritten
    data: str = "mnist"
    minutes: float = 1.0
    recorded_as: tuple[str, ...] = ()
    long: bool = False

    @property
    def notebook(self) -> str:
        """The three digits of the notebook."""
        return self.name[:3]

    @property
    def compared(self) -> tuple[str, ...]:
        """Names in recorded.csv of the figures that it reproduces."""
        return self.recorded_as or (self.name,)


# --- 002: partial identity and ZerO ---------------------------------------------------------------

EQUAL = constant_(0.01)  # the notebook's biases


def _zero_example(width: int, weights: str, *, bias: bool = True, entries: str = "") -> Library:
    laws = {
        "identity": partial_identity_, "zero": hadamard_, "random": he_normal_,
        "one": one_n_each_, "spray": spray_,
    }  # fmt: skip
    suffix = ", biases .01" if bias else ""
    start = every(laws[weights], EQUAL if bias else None, f"{weights}{suffix}")
    network = mlp(784, 784, width, width, 10, bias=bias)
    return Library(
        network, start, SGD(lr=0.1), batch=64, epochs=1,
        rank_of="hidden3.weight", entries_of=entries,
    )  # fmt: skip


def _notebook_002() -> Iterator[Configuration]:
    first = _zero_example(256, "identity", entries="hidden2.weight")
    yield Configuration("002-identity-256", first, minutes=0.2)
    bias_free = _zero_example(256, "identity", bias=False)
    yield Configuration("002-identity-256-bias-free", bias_free, minutes=0.2)
    for weights, width, minutes in (
        ("identity", 512, 0.3), ("identity", 1024, 0.6), ("zero", 1024, 0.6),
        ("random", 1024, 0.6), ("one", 1024, 0.6), ("spray", 1024, 0.6), ("identity", 2048, 3),
    ):  # fmt: skip
        protocol = _zero_example(width, weights)
        yield Configuration(f"002-{weights}-{width}", protocol, minutes=minutes)
    wide = _zero_example(2048, "random", bias=False)
    yield Configuration("002-random-2048-bias-free", wide, minutes=3)


# --- 004: Xavier ----------------------------------------------------------------------------------


def _notebook_004() -> Iterator[Configuration]:
    start = Initializer("xavier_uniform_, torch's biases", weights=glorot_uniform_)
    for name, widths, minutes in (
        ("shallow", (256, 256), 1.0), ("deep", (512, 512, 512, 512), 4.0)
    ):  # fmt: skip
        network = mlp(784, *widths, 10)
        for suffix, scale in (("", 255.0), ("-scaled-test", 1.0)):
            protocol = Library(
                network, start, Adam(lr=1e-3), batch=100, epochs=15, test_scale=scale
            )
            yield Configuration(
                f"004-{name}{suffix}", protocol, minutes=minutes, long=bool(suffix),
                recorded_as=(f"004-{name}",),
            )  # fmt: skip


# --- 003: written by hand -------------------------------------------------------------------------

SOUND_CELU = ("dropout", "adam")  # the faults that remain when CELU's derivative is fixed


def _notebook_003_part_2() -> Iterator[Configuration]:
    starts = ("he", "xavier", "randn", "xavier-uniform", "he-uniform")
    for optimizer in ("sgd", "adam", "rmsprop"):
        momentum = 0.9 if optimizer == "sgd" else 0.0
        for start in starts:
            name = f"003-{start}-{optimizer}"
            protocol = Handwritten(
                start, optimizer, lr=1e-3, batch=100, epochs=10, momentum=momentum
            )
            # The notebook's "heuristic" is He in every layer, so both are draws of one law.
            both = (name, name.replace("he", "heuristic")) if start == "he" else ()
            yield Configuration(name, protocol, minutes=2, recorded_as=both)


def _notebook_003_fixed() -> Iterator[Configuration]:
    """Each leaves out one of the notebook's faults, to show its effect on the recorded figures."""
    for start in ("he", "xavier", "heuristic"):
        name = f"003-{start}-sgd"
        protocol = Handwritten(
            start, "sgd", lr=1e-3, batch=100, epochs=10, momentum=0.9, faults=SOUND_CELU
        )
        yield Configuration(
            f"{name}-sound-celu", protocol, minutes=2, recorded_as=(name,)
        )  # fmt: skip
    for fault, kept in (("celu", SOUND_CELU), ("adam", ("celu", "dropout"))):
        protocol = Handwritten("he", "adam", lr=1e-3, batch=100, epochs=10, faults=kept)
        yield Configuration(
            f"003-he-adam-sound-{fault}", protocol, minutes=2, recorded_as=("003-he-adam",)
        )


def _notebook_003_part_1() -> Iterator[Configuration]:
    keep = (1.0, 0.8, 0.8, 0.9)
    for name, epochs, options in (
        ("baseline", 20, {}),
        ("decay", 20, {"decay": 1e-4}),
        ("dropout", 40, {"keep": keep}),
        ("both", 30, {"keep": keep, "decay": 1e-5}),
    ):
        protocol = Handwritten("randn", "sgd", lr=1e-5, batch=200, epochs=epochs, **options)
        yield Configuration(f"003-part1-{name}", protocol, minutes=0.1 * epochs)
    per_unit = Handwritten(
        "randn", "sgd", lr=1e-5, batch=200, epochs=40, keep=keep, faults=("celu", "adam")
    )
    yield Configuration(
        "003-part1-dropout-per-unit", per_unit, minutes=4, recorded_as=("003-part1-dropout",)
    )


# --- 000: zero weights, random biases -------------------------------------------------------------

HELD_OUT = 7000  # training images that the report used for validation
BIASES = {
    "normal": normal_(1.0), "uniform": uniform_(0.0, 1.0), "normal-x100": normal_(100.0),
    "normal-x.01": normal_(0.01), "uniform-x100": uniform_(0.0, 100.0),
}  # fmt: skip
STARTS = {"default": torch_default, "zero": zeros} | {
    name: every(zeros_, law, f"weights 0, biases {name}") for name, law in BIASES.items()
}


def _report(network: str, start: str, epochs: int, *, cifar: bool = False) -> Library:
    """The report's protocol: ELU, Adam 1e-3, batch 128, the official test set."""
    networks = {
        "softmax": mlp(784, 10),
        "fnn": mlp(784, 500, 10, activation="elu"),
        "cnn": cifar_cnn("elu", "cifar cnn") if cifar else mnist_cnn("elu", "mnist cnn"),
        "cifar-fnn": mlp(3072, 512, 256, 128, 10, activation="elu"),
    }
    images = (50_000 if cifar else 60_000) - HELD_OUT
    return Library(
        networks[network], STARTS[start], Adam(lr=1e-3), batch=128, epochs=epochs, images=images
    )


def _notebook_000() -> Iterator[Configuration]:
    yield Configuration("000-mnist-softmax", _report("softmax", "default", 10), minutes=0.1)
    for start in ("default", "normal", "uniform", "zero", *list(BIASES)[2:]):
        name = f"000-mnist-fnn-{start}"
        recorded_as = (
            ("000-mnist-fnn-x100",) if start.endswith("x100") else ()
        )  # the report does not say which law
        yield Configuration(name, _report("fnn", start, 10), minutes=0.4, recorded_as=recorded_as)
    wave = Library(
        mlp(3072, 512, 256, 128, 10, activation="elu"), STARTS["normal"], Adam(lr=1e-3),
        batch=128, epochs=1, images=43_000, steps=5,
    )  # fmt: skip
    yield Configuration("000-cifar-fnn-wave", wave, "cifar10", minutes=0.1)
    for start in ("default", "normal", "uniform"):
        protocol = _report("cifar-fnn", start, 15, cifar=True)
        yield Configuration(f"000-cifar-fnn-{start}", protocol, "cifar10", minutes=1.5)
    for start in ("default", "normal", "uniform", "zero", "normal-x100"):
        protocol = _report("cnn", start, 15)
        yield Configuration(f"000-mnist-cnn-{start}", protocol, minutes=30, long=True)
    for start in ("default", "normal", "uniform"):
        protocol = _report("cnn", start, 20, cifar=True)
        yield Configuration(
            f"000-cifar-cnn-{start}", protocol, "cifar10", minutes=240, long=True
        )  # fmt: skip


# --- 001: layers set to a constant ----------------------------------------------------------------


def _notebook_001() -> Iterator[Configuration]:
    """20,000 images, a tenth of them held out, as the notebook's file is a part of MNIST."""
    starts = {
        "default": torch_default,
        "hidden1-zero": torch_default.but("hidden1.weight", zeros_),
        "all-zero": zeros,
        "all-one": ones,
        "ones-zero-biases": every(ones_, zeros_, "weights 1, biases 0"),
        "ones-default-biases": Initializer("weights 1, torch's biases", weights=ones_),
        "zeros-default-biases": Initializer("weights 0, torch's biases", weights=zeros_),
        "zero-biases": Initializer("torch's weights, biases 0", biases=zeros_),
    }
    for name, start in starts.items():
        protocol = Library(
            mlp(784, 64, 32, 32, 10), start, Adam(lr=0.01), batch=32, epochs=10,
            images=20_000, held_out=2_000,
        )  # fmt: skip
        yield Configuration(f"001-{name}", protocol, minutes=0.1)


CONFIGURATIONS = (
    *_notebook_002(),
    *_notebook_004(),
    *_notebook_003_part_2(),
    *_notebook_003_fixed(),
    *_notebook_003_part_1(),
    *_notebook_000(),
    *_notebook_001(),
)
