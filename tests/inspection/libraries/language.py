"""Models of transformers and peft."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tests.inspection.libraries.inputs import WORDS, Entry, images, noise, tokens

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
        "SegformerForImageClassification",  # of 32 pixels its attention would have one key alone
        {"image_size": 64, "hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 1, 1],
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
                return {"pixel_values": pixels}, noise(2, 16, 32)
            return {"pixel_values": pixels} | ({"labels": labels} if kind == "pixels" else {})
        if kind == "sound":
            return {"input_values": noise(2, 400), "labels": tokens(3)["labels"]}
        if kind == "spectra":
            return {"input_features": noise(2, 8, 32), "labels": tokens(6)["labels"]}
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
