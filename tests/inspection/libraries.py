"""Models of other libraries, from their configurations: the green list of inspections.

Each entry of `MODELS` returns a build function, a batch function and, if needed, a
loss. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch

Entry = tuple[Callable[..., Any], ...]

WORDS = 96  # the vocabulary of every small language model


def images(side: int, count: int = 2, classes: int = 10) -> Any:
    """Images with labels, from a fixed seed."""
    generator = torch.Generator().manual_seed(11)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return torch.randn(count, 3, side, side, generator=generator), labels


def tokens(length: int = 12, **more: Any) -> Any:
    """Token ids that are their own labels, as a dict."""
    generator = torch.Generator().manual_seed(11)
    ids = torch.randint(5, WORDS, (2, length), generator=generator)
    return {"input_ids": ids, "labels": ids, **more}


# --- torchvision ----------------------------------------------------------------------------------

SIDES = {"inception_v3": 299, "vit": 224, "maxvit": 224, "swin": 224}
CLASSIFIERS = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet",
    "inception_v3", "maxvit_t", "mnasnet0_5", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large",
    "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet34", "resnet50",
    "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "squeezenet1_0", "squeezenet1_1",
    "swin_t", "swin_v2_t", "vgg11", "vgg11_bn", "vit_b_32", "wide_resnet50_2",
]  # fmt: skip
SEGMENTERS = ["deeplabv3_mobilenet_v3_large", "fcn_resnet50", "lraspp_mobilenet_v3_large"]
DETECTORS = [
    "fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn", "retinanet_resnet50_fpn",
    "ssdlite320_mobilenet_v3_large",
]  # fmt: skip


def torchvision_classifier(name: str) -> Entry:
    """A classifier of torchvision with ten classes."""
    models = import_module("torchvision.models")
    side = next((side for part, side in SIDES.items() if name.startswith(part)), 96)
    more = {"aux_logits": False} if name in {"googlenet", "inception_v3"} else {}
    return partial(getattr(models, name), weights=None, num_classes=10, **more), partial(
        images, side
    )


def segmenter(name: str) -> Entry:
    """A segmentation model of torchvision with ten classes for each pixel."""
    build = getattr(import_module("torchvision.models.segmentation"), name)

    def batch() -> Any:
        inputs, labels = images(64)
        return inputs, labels[:, None, None].expand(-1, 64, 64).contiguous()

    return partial(build, weights=None, weights_backbone=None, num_classes=10), batch


def detector(name: str) -> Entry:
    """A detector of torchvision, whose loss is the sum of the losses that it returns."""
    build = getattr(import_module("torchvision.models.detection"), name)
    boxes = torch.tensor([[5.0, 5.0, 60.0, 70.0], [20.0, 10.0, 90.0, 50.0]])

    def batch() -> Any:
        inputs, _ = images(96)
        targets = [{"boxes": boxes.clone(), "labels": torch.tensor([1, 3])} for _ in inputs]
        return list(inputs), targets

    def loss(module: Any, batch: Any) -> Any:
        return sum(module(*batch).values())

    more = {} if "320" in name else {"min_size": 128, "max_size": 256}
    return partial(build, weights=None, weights_backbone=None, num_classes=10, **more), batch, loss


# --- timm -----------------------------------------------------------------------------------------

TIMM = [
    "beit_base_patch16_224", "bat_resnext26ts", "botnet26t_256", "cait_xxs24_224", "coat_tiny",
    "coatnet_nano_rw_224", "convit_tiny", "convmixer_768_32", "convnext_atto", "convnextv2_atto",
    "crossvit_tiny_240", "cs3darknet_s", "cspresnet50", "darknet17", "davit_tiny",
    "deit_tiny_patch16_224", "densenet121", "dla34", "dm_nfnet_f0", "dpn48b", "edgenext_xx_small",
    "efficientformer_l1", "efficientnet_b0", "efficientvit_b0", "eva02_tiny_patch14_224",
    "fastvit_t8", "fbnetc_100", "focalnet_tiny_srf", "gcvit_xxtiny", "gernet_s", "ghostnet_050",
    "halonet26t", "hgnet_tiny", "hrnet_w18_small", "inception_next_tiny", "lambda_resnet26t",
    "lcnet_050", "levit_128s", "maxvit_pico_rw_256", "mixer_s32_224", "mnasnet_050",
    "mobilenetv3_small_050", "mobileone_s0", "mobilevit_xxs", "mobilevitv2_050", "nest_tiny",
    "nf_resnet50", "pit_ti_224", "poolformer_s12", "pvt_v2_b0", "regnetx_002", "repvgg_a0",
    "res2net50_14w_8s", "resmlp_12_224", "resnest14d", "resnet10t", "rexnet_100",
    "sebotnet33ts_256", "selecsls42", "skresnet18", "swin_tiny_patch4_window7_224",
    "tiny_vit_5m_224", "tnt_s_patch16_224", "tresnet_m", "twins_svt_small",
    "visformer_tiny", "vit_tiny_patch16_224", "volo_d1_224", "vovnet39a", "xception41",
    "xcit_nano_12_p16_224",
]  # fmt: skip


#: Convolutional networks that take smaller images, too.
TIMM_SMALL = {
    "convmixer_768_32", "cspresnet50", "darknet17", "dm_nfnet_f0", "inception_next_tiny",
    "mobileone_s0", "nf_resnet50", "res2net50_14w_8s", "selecsls42", "tresnet_m", "vovnet39a",
    "xception41",
}  # fmt: skip
#: With fewer blocks than they are named for.
TIMM_SHALLOW: dict[str, dict[str, Any]] = {
    "beit_base_patch16_224": {"depth": 3},
}


def timm_model(name: str) -> Entry:
    """A model of timm with ten classes, at its own image size."""
    timm = import_module("timm")
    size = 96 if name in TIMM_SMALL else timm.get_pretrained_cfg(name).input_size[-1]
    more = TIMM_SHALLOW.get(name, {})
    build = partial(timm.create_model, name, pretrained=False, num_classes=10, **more)
    return build, partial(images, size)


# --- transformers ---------------------------------------------------------------------------------

SMALL = {
    "vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 64,
}  # fmt: skip
KV = {"num_key_value_heads": 2}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

LANGUAGE_MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "albert": ("AlbertForMaskedLM", {"embedding_size": 16}),
    "bert": ("BertForMaskedLM", {}),
    "bloom": ("BloomForCausalLM", {"n_layer": 2, "n_head": 4}),
    "camembert": ("CamembertForMaskedLM", {"max_position_embeddings": 80}),
    "codegen": ("CodeGenForCausalLM", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    "cohere": ("CohereForCausalLM", KV),
    "electra": ("ElectraForMaskedLM", {"embedding_size": 16}),
    "falcon": ("FalconForCausalLM", {}),
    "gemma": ("GemmaForCausalLM", KV | {"head_dim": 8}),
    "gemma2": ("Gemma2ForCausalLM", KV | {"head_dim": 8}),
    "gpt2": ("GPT2LMHeadModel", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    ),
    "gpt_neox": ("GPTNeoXForCausalLM", {}),
    "gptj": ("GPTJForCausalLM", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    "granite": ("GraniteForCausalLM", KV),
    "llama": ("LlamaForCausalLM", KV),
    "mamba": ("MambaForCausalLM", {"state_size": 4}),
    "mamba2": (
        "Mamba2ForCausalLM",
        {"state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8},
    ),
    "mistral": ("MistralForCausalLM", KV),
    "mixtral": ("MixtralForCausalLM", KV | {"num_local_experts": 4}),
    "olmo": ("OlmoForCausalLM", KV),
    "opt": ("OPTForCausalLM", {"ffn_dim": 64, "word_embed_proj_dim": 32}),
    "phi": ("PhiForCausalLM", {}),
    "phi3": ("Phi3ForCausalLM", KV),
    "qwen2": ("Qwen2ForCausalLM", KV),
    "qwen2_moe": (
        "Qwen2MoeForCausalLM",
        KV | {"num_experts": 4, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    ),
    "qwen3": ("Qwen3ForCausalLM", KV | {"head_dim": 8}),
    "roberta": ("RobertaForMaskedLM", {"max_position_embeddings": 80}),
    "stablelm": ("StableLmForCausalLM", KV),
    "starcoder2": ("Starcoder2ForCausalLM", KV),
    "xlnet": ("XLNetLMHeadModel", {"d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64}),
}


def language_model(name: str) -> Entry:
    """A small language model of transformers, from its configuration."""
    transformers = import_module("transformers")
    class_name, more = LANGUAGE_MODELS[name]
    model = getattr(transformers, class_name)

    def build() -> Any:
        known = SMALL | SPECIAL | more
        if name == "xlnet":  # reads sequences of any length, and refuses a limit
            del known["max_position_embeddings"]
        return model(model.config_class(**known))

    return build, tokens


#: Other models of transformers: class, configuration beyond `SMALL`, kind of batch.
OTHERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "bart": (
        "BartForConditionalGeneration",
        {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
         "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
        "tokens",
    ),
    "beit": ("BeitForImageClassification", {"image_size": 32, "patch_size": 8}, "pixels"),
    "convnext": (
        "ConvNextForImageClassification",
        {"hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}, "pixels",
    ),
    "deberta": ("DebertaForMaskedLM", {"relative_attention": True, "pos_att_type": "c2p|p2c"},
                "tokens"),
    "deberta_v2": (
        "DebertaV2ForMaskedLM", {"relative_attention": True, "pos_att_type": "c2p|p2c"}, "tokens",
    ),
    "deit": ("DeiTForImageClassification", {"image_size": 32, "patch_size": 8}, "pixels"),
    "dinov2": ("Dinov2ForImageClassification", {"image_size": 32, "patch_size": 8}, "pixels"),
    "distilbert": (
        "DistilBertForMaskedLM", {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        "tokens",
    ),
    "hubert": ("HubertForCTC", {}, "sound"),
    "mobilevit": (
        "MobileViTForImageClassification",
        {"hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 48],
         "image_size": 64},
        "pixels",
    ),
    "resnet": (
        "ResNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 1, 1]}, "pixels",
    ),
    "segformer": (
        "SegformerForImageClassification",
        {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1],
         "num_attention_heads": [1, 1, 2, 2], "decoder_hidden_size": 16},
        "pixels",
    ),
    "siglip": ("SiglipVisionModel", {"image_size": 32, "patch_size": 8}, "pixels alone"),
    "swin": (
        "SwinForImageClassification",
        {"image_size": 32, "patch_size": 2, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2],
         "window_size": 4},
        "pixels",
    ),
    "t5": (
        "T5ForConditionalGeneration",
        {"d_model": 32, "d_ff": 64, "d_kv": 8, "num_layers": 2, "num_heads": 4,
         "decoder_start_token_id": 0},
        "tokens",
    ),
    "vit": ("ViTForImageClassification", {"image_size": 32, "patch_size": 8}, "pixels"),
    "vit_mae": ("ViTMAEForPreTraining", {"image_size": 32, "patch_size": 8,
                "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1,
                "decoder_num_attention_heads": 2, "decoder_intermediate_size": 32}, "pixels alone"),
    "wav2vec2": ("Wav2Vec2ForCTC", {}, "sound"),
    "whisper": (
        "WhisperForConditionalGeneration",
        {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
         "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64,
         "num_mel_bins": 8, "max_source_positions": 16, "max_target_positions": 32,
         "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None},
        "spectra",
    ),
}  # fmt: skip
SOUND = {
    "conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3),
    "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer", "mask_time_prob": 0.0, "layerdrop": 0.0,
}  # fmt: skip


def other_model(name: str) -> Entry:
    """A small model of transformers that is no decoder, or reads pictures or sound."""
    transformers = import_module("transformers")
    class_name, more, kind = OTHERS[name]
    model = getattr(transformers, class_name)
    pictures = {"num_labels": 10} if kind == "pixels" else {}
    sizes = {} if "depths" in more else SMALL
    known = sizes | SPECIAL | pictures | (SOUND if kind == "sound" else {}) | more

    def batch() -> Any:
        if kind.startswith("pixels"):
            pixels, labels = images(more.get("image_size", 32))
            if name == "siglip":
                return {"pixel_values": pixels}, _noise(2, 16, 32)
            return {"pixel_values": pixels} | ({"labels": labels} if kind == "pixels" else {})
        if kind == "sound":
            return {"input_values": _noise(2, 400), "labels": tokens(3)["labels"]}
        if kind == "spectra":
            return {"input_features": _noise(2, 8, 32), "labels": tokens(6)["labels"]}
        return tokens()

    return lambda: model(model.config_class(**known)), batch


def clip() -> Entry:
    """CLIP, whose two halves have configurations inside its own."""
    transformers = import_module("transformers")
    config = transformers.CLIPConfig(
        text_config=SMALL | SPECIAL,
        vision_config=SMALL | {"image_size": 32, "patch_size": 8},
        projection_dim=16,
    )

    def batch() -> Any:
        pixels, _ = images(32)
        return {"pixel_values": pixels, "input_ids": tokens()["input_ids"], "return_loss": True}

    return lambda: transformers.CLIPModel(config), batch


ADAPTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "lora": ("LoraConfig", {"target_modules": ["c_attn"]}),
    "dora": ("LoraConfig", {"target_modules": ["c_attn"], "use_dora": True}),
    "ia3": ("IA3Config", {"target_modules": ["c_attn"], "feedforward_modules": []}),
    "loha": ("LoHaConfig", {"target_modules": ["lm_head"]}),
    "oft": ("OFTConfig", {"target_modules": ["lm_head"], "oft_block_size": 0, "r": 4}),
    "prompt": ("PromptTuningConfig", {"num_virtual_tokens": 4}),
}


def adapted_model(name: str) -> Entry:
    """GPT-2 with adapters of peft, whose base is frozen."""
    peft = import_module("peft")
    build, batch = language_model("gpt2")
    class_name, more = ADAPTERS[name]

    def adapted() -> Any:
        config = getattr(peft, class_name)(task_type="CAUSAL_LM", **more)
        return peft.get_peft_model(build(), config)

    return adapted, batch


# --- diffusers ------------------------------------------------------------------------------------


def _noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(11))


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
        return (_noise(2, 3, 16, 16), torch.tensor([3, 700])), _noise(2, 3, 16, 16)

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
        inputs = (_noise(2, 4, 16, 16), torch.tensor([3, 700]), _noise(2, 5, 16))
        return inputs, _noise(2, 4, 16, 16)

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
        return ((_noise(2, 3, 16, 16), True), _noise(2, 3, 16, 16))  # sampled from the posterior

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
        inputs = (_noise(2, 4, 8, 8), torch.tensor([3, 70]), torch.tensor([1, 2]))
        return inputs, _noise(2, 4, 8, 8)

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
            _noise(2, 4, 16, 16), torch.tensor([3, 700]), _noise(2, 5, 16), _noise(2, 3, 32, 32),
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
            "hidden_states": _noise(2, 9, 8), "encoder_hidden_states": _noise(2, 5, 16),
            "pooled_projections": _noise(2, 12), "timestep": torch.tensor([0.1, 0.7]),
            "img_ids": torch.zeros(9, 3), "txt_ids": torch.zeros(5, 3),
        }  # fmt: skip
        return inputs, _noise(2, 9, 8)

    return build, batch


def quantizer() -> Entry:
    """The vector-quantized autoencoder of diffusers."""
    diffusers = import_module("diffusers")

    def build() -> Any:
        return diffusers.VQModel(
            block_out_channels=(16, 32), norm_num_groups=8, num_vq_embeddings=32,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip

    return build, lambda: (_noise(2, 3, 16, 16), _noise(2, 3, 16, 16))


MODELS: dict[str, Callable[[], Entry]] = {
    **{f"torchvision {name}": partial(torchvision_classifier, name) for name in CLASSIFIERS},
    **{f"timm {name}": partial(timm_model, name) for name in TIMM},
    **{f"transformers {name}": partial(language_model, name) for name in LANGUAGE_MODELS},
    **{f"torchvision {name}": partial(segmenter, name) for name in SEGMENTERS},
    **{f"torchvision {name}": partial(detector, name) for name in DETECTORS},
    "diffusers UNet2DModel": unet,
    "diffusers UNet2DConditionModel": conditional_unet,
    "diffusers AutoencoderKL": autoencoder,
    "diffusers DiTTransformer2DModel": diffusion_transformer,
    "diffusers ControlNetModel": control_net,
    "diffusers FluxTransformer2DModel": flux,
    "diffusers VQModel": quantizer,
    "transformers clip": clip,
    **{f"transformers {name}": partial(other_model, name) for name in OTHERS},
    **{f"peft {name}": partial(adapted_model, name) for name in ADAPTERS},
}
