"""Models of other libraries, from their configurations: the green list of inspections.

Each entry of `MODELS` returns a build function, a batch function and, if needed, a
loss. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.inspection.libraries import diffusion, language, vision
from tests.inspection.libraries.inputs import Entry

MODELS: dict[str, Callable[[], Entry]] = {
    **{
        f"torchvision {name}": partial(vision.torchvision_classifier, name)
        for name in vision.CLASSIFIERS
    },
    **{f"timm {name}": partial(vision.timm_model, name) for name in vision.TIMM},
    **{
        f"transformers {name}": partial(language.language_model, name)
        for name in language.LANGUAGE_MODELS
    },
    **{f"torchvision {name}": partial(vision.segmenter, name) for name in vision.SEGMENTERS},
    **{f"torchvision {name}": partial(vision.detector, name) for name in vision.DETECTORS},
    "diffusers UNet2DModel": diffusion.unet,
    "diffusers UNet2DConditionModel": diffusion.conditional_unet,
    "diffusers AutoencoderKL": diffusion.autoencoder,
    "diffusers DiTTransformer2DModel": diffusion.diffusion_transformer,
    "diffusers ControlNetModel": diffusion.control_net,
    "diffusers FluxTransformer2DModel": diffusion.flux,
    "diffusers VQModel": diffusion.quantizer,
    "transformers clip": language.clip,
    **{f"transformers {name}": partial(language.other_model, name) for name in language.OTHERS},
    **{f"peft {name}": partial(language.adapted_model, name) for name in language.ADAPTERS},
}
