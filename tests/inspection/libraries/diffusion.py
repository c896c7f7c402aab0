"""Models of diffusers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from tests.inspection.libraries.inputs import Entry, noise


def unet() -> Entry:
    """The unconditional U-Net of diffusers."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.UNet2DModel(
            sample_size=16, in_channels=3, out_channels=3, layers_per_block=1, norm_num_groups=8,
            block_out_channels=(16, 32), down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=8,
        )  # fmt: skip

    def batch() -> Any:
        return (noise(2, 3, 16, 16), torch.tensor([3, 700])), noise(2, 3, 16, 16)

    return build, batch


def conditional_unet() -> Entry:
    """The U-Net of diffusers with a text condition."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.UNet2DConditionModel(
            sample_size=16, layers_per_block=1, norm_num_groups=8, cross_attention_dim=16,
            block_out_channels=(16, 32), attention_head_dim=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip

    def batch() -> Any:
        inputs = (noise(2, 4, 16, 16), torch.tensor([3, 700]), noise(2, 5, 16))
        return inputs, noise(2, 4, 16, 16)

    return build, batch


def autoencoder() -> Entry:
    """The variational autoencoder of diffusers."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.AutoencoderKL(
            block_out_channels=(16, 32), norm_num_groups=8,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip

    def batch() -> Any:
        return ((noise(2, 3, 16, 16), True), noise(2, 3, 16, 16))  # sampled from the posterior

    return build, batch


def diffusion_transformer() -> Entry:
    """The diffusion transformer of diffusers, whose modulations start at zero."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.DiTTransformer2DModel(
            num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4,
            num_layers=2, sample_size=8, num_embeds_ada_norm=100,
        )  # fmt: skip

    def batch() -> Any:
        inputs = (noise(2, 4, 8, 8), torch.tensor([3, 70]), torch.tensor([1, 2]))
        return inputs, noise(2, 4, 8, 8)

    return build, batch


def control_net() -> Entry:
    """The control network of diffusers, whose outputs pass convolutions of zeros."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.ControlNetModel(
            layers_per_block=1, norm_num_groups=8, cross_attention_dim=16,
            block_out_channels=(16, 32), attention_head_dim=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            conditioning_embedding_out_channels=(8, 16),
        )  # fmt: skip

    def batch() -> Any:
        return (
            noise(2, 4, 16, 16), torch.tensor([3, 700]), noise(2, 5, 16), noise(2, 3, 32, 32),
        )  # fmt: skip

    def loss(module: Any, batch: Any) -> Any:
        residuals = module(*batch)
        every = [*residuals.down_block_res_samples, residuals.mid_block_res_sample]
        return sum((each - 1).square().mean() for each in every)

    return build, batch, loss


def flux() -> Entry:
    """The transformer of FLUX."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.FluxTransformer2DModel(
            in_channels=8, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=16, pooled_projection_dim=12,
            axes_dims_rope=(4, 4, 8),
        )  # fmt: skip

    def batch() -> Any:
        inputs = {
            "hidden_states": noise(2, 9, 8), "encoder_hidden_states": noise(2, 5, 16),
            "pooled_projections": noise(2, 12), "timestep": torch.tensor([0.1, 0.7]),
            "img_ids": torch.zeros(9, 3), "txt_ids": torch.zeros(5, 3),
        }  # fmt: skip
        return inputs, noise(2, 9, 8)

    return build, batch


def quantizer() -> Entry:
    """The vector-quantized autoencoder of diffusers."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.VQModel(
            block_out_channels=(16, 32), norm_num_groups=8, num_vq_embeddings=32,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip

    return build, lambda: (noise(2, 3, 16, 16), noise(2, 3, 16, 16))
