"""Counts what the official modelling code builds, for every model of transformers that joins towers to a decoder-only language model.

    python scripts/oracle/multimodal.py > test/oracle/multimodal.json

Needs torch 2.13.0 and transformers 5.18.0 (timm 1.0.29 for the few towers that are timm's, scipy for Inkling's). Each class is built on the meta
device, so no weight is made: with its default config, with the same written out, and with two other shapes of text and towers.
Parameters are counted once (tied matrices), with what checkpoints store as buffers (router corrections, statistics of norms).
`text` is the language model's share, its output projection included. What cannot be built is named with the reason.
"""

import json
import re
import signal
import sys

import torch
import transformers
from transformers import AutoConfig
from transformers.models.auto import modeling_auto
from transformers.utils import logging

logging.set_verbosity_error()
SECONDS = 120
# Encoders with decoders, and models that are no language models.
OTHERS = {
    "blip", "florence2", "pix2struct", "pp_formulanet", "t5gemma2", "udop", "vision-encoder-decoder", "pi0",
}
# What a default config lacks to be built at all.
NEEDED = {
    "aya_vision": dict(vision_config=dict(model_type="siglip_vision_model", hidden_size=1152, intermediate_size=4304, patch_size=14, image_size=384, num_hidden_layers=26, num_attention_heads=16, vision_use_head=False)),
    "chameleon": dict(vocabulary_map={"<image>": 8711}),
    "emu3": dict(vocabulary_map={"<image>": 151851}),
    "idefics3": dict(pad_token_id=0),
    "smolvlm": dict(pad_token_id=0),
    "ovis2": dict(hidden_size=4096, vocab_size=151936),
    "cohere_compass": dict(text_config=dict(rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 50000.0}})),
    "deepseek_ocr2": dict(text_config=dict(num_experts_per_tok=6, mlp_layer_types=["dense"] + ["sparse"] * 31)),
    "diffusion_gemma": dict(text_config=dict(num_experts=16, top_k_experts=4, moe_intermediate_size=704), vision_config=dict(model_type="gemma4_vision")),
    "gemma4": dict(vision_config=dict(model_type="gemma4_vision"), audio_config=dict(model_type="gemma4_audio")),
    "gemma4_unified": dict(vision_config=dict(), audio_config=dict()),
    "granite4_vision": dict(text_config=dict(model_type="granite4_vision_text"), downsample_rate="4/8", deepstack_layer_map=[[-19, 9], [-13, 6], [-7, 3], [-1, 0]]),
    "hunyuan_vl": dict(text_config=dict(head_dim=128)),
    "kyutai_speech_to_text": dict(pad_token_id=3),
    "perception_lm": dict(vision_config=dict(model_type="timm_wrapper", architecture="vit_pe_core_large_patch14_336", num_classes=0, model_args={"embed_dim": 1024, "global_pool": ""})),
    "qwen3_omni_moe": dict(talker_config=dict(spatial_merge_size=2, text_config=dict(shared_expert_intermediate_size=768))),
    "qwen4_exp": dict(text_config=dict(indexer_n_heads=8, indexer_kv_heads=1, indexer_head_dim=128, indexer_budget=2048, indexer_compress_ratio=4, rope_parameters={"rope_type": "default", "rope_theta": 1e7, "partial_rotary_factor": 0.25})),
}
# What a family's own rules ask of other shapes.
ASKED = {
    "cohere_compass": dict(small=dict(text_config=dict(num_attention_heads=4)), wide=dict(text_config=dict(num_attention_heads=6, num_key_value_heads=2))),
    "cosmos3_edge": dict(small=dict(text_config=dict(rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 12, 12]})), wide=dict(text_config=dict(head_dim=64, rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 12, 12]}))),
    "ernie4_5_vl_moe": dict(small=dict(text_config=dict(num_attention_heads=4, moe_intermediate_size=[256, 128])), wide=dict(text_config=dict(num_attention_heads=6, num_key_value_heads=2))),
    "fast_vlm": {name: dict(vision_config=dict(architecture="fastvit_mci3", num_classes=2, model_args={"inference_mode": True}, hidden_size=3072)) for name in ("small", "wide")},
    "fun_asr_nano": dict(small=dict(adaptor_config=dict(hidden_size=512, intermediate_size=128)), wide=dict(adaptor_config=dict(hidden_size=768, intermediate_size=192))),
    "gemma3n": dict(small=dict(text_config=dict(num_kv_shared_layers=0, intermediate_size=1408, activation_sparsity_pattern=[0.0] * 6, layer_types=["sliding_attention"] * 4 + ["full_attention"] * 2)), wide=dict(text_config=dict(num_kv_shared_layers=3, intermediate_size=2048, activation_sparsity_pattern=[0.0] * 8, layer_types=(["sliding_attention"] * 3 + ["full_attention"]) * 2))),
    "glm5_next": dict(small=dict(text_config=dict(num_key_value_heads=8)), wide=dict(text_config=dict(num_key_value_heads=12))),
    "inkling_mm_model": dict(small=dict(vision_config=dict(n_layers=4, patch_size=28), audio_config=dict(n_mel_bins=64)), wide=dict(vision_config=dict(n_layers=9, temporal_patch_size=4))),
    "ovis2": dict(small=dict(hidden_size=512, vocab_size=1024), wide=dict(hidden_size=768, vocab_size=2000)),
    "nemotron_h_omni": dict(small=dict(vision_config=dict(video_temporal_patch_size=2), text_config=dict(layers_block_type=["linear_attention", "moe", "full_attention", "mlp", "moe", "linear_attention"])), wide=dict(vision_config=dict(video_temporal_patch_size=2), text_config=dict(layers_block_type=["linear_attention", "mlp"] * 3 + ["full_attention", "moe"]))),
}
TEXT = {
    "small": dict(hidden_size=512, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=2, head_dim=64, intermediate_size=1408, vocab_size=1024, moe_intermediate_size=256, ffn_dim=1408),
    "wide": dict(hidden_size=768, num_hidden_layers=8, num_attention_heads=12, num_key_value_heads=4, intermediate_size=2048, vocab_size=2000, tie_word_embeddings=True, ffn_dim=2048),
}
TOWER = {
    "small": dict(hidden_size=256, embed_dim=256, d_model=256, num_hidden_layers=4, depth=4, encoder_layers=4, num_layers=4, intermediate_size=640, encoder_ffn_dim=640, num_attention_heads=4, num_heads=4, encoder_attention_heads=4, out_hidden_size=512, output_dim=512),
    "wide": dict(hidden_size=320, embed_dim=320, d_model=320, num_hidden_layers=6, depth=6, encoder_layers=6, num_layers=6, intermediate_size=800, encoder_ffn_dim=800, num_attention_heads=5, num_heads=5, encoder_attention_heads=5, out_hidden_size=768, output_dim=768, image_size=448),
}
# Keys that a family's other sizes do not allow to change, by type of the part.
FIXED = {
    "sam_vision_model": {"num_hidden_layers"},
    "radio": {"image_size"},
    "gemma4_vision": set(),
}
LISTS = ("layer_types", "mlp_layer_types", "layers_block_type", "no_rope_layers", "moe_layers", "full_attn_idxs", "indexer_types", "layer_rope_theta")


def stop(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, stop)


def class_of(kind):
    for table in (modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES, modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, modeling_auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES):
        if kind in table:
            name = table[kind]
            return getattr(transformers, name if isinstance(name, str) else name[0])
    raise KeyError(kind)


LANGUAGE = re.compile(r"^(thinker\.)?(model\.)?(language_model|text_model|lm_head|embed_tokens|layers|norm)\b|^(thinker\.)lm_head|^output_projection")


def count(kind, config):
    signal.alarm(SECONDS)
    try:
        with torch.device("meta"):
            model = class_of(kind)(config)
    finally:
        signal.alarm(0)
    model.tie_weights()
    seen, total, text = set(), 0, 0
    for name, tensor in model.named_parameters(remove_duplicate=False):
        if id(tensor) not in seen:
            seen.add(id(tensor))
            total += tensor.numel()
            text += tensor.numel() if LANGUAGE.match(name) else 0
    for prefix, module in model.named_modules():
        for name, tensor in module._buffers.items():
            if tensor is None or name in module._non_persistent_buffers_set or not tensor.is_floating_point() or name.endswith("inv_freq"):
                continue
            total += tensor.numel()
            text += tensor.numel() if LANGUAGE.match(f"{prefix}.{name}") else 0
    return total, text


def stated(config):
    return json.loads(config.to_json_string(use_diff=False))


DROPPED = ("id2label", "label2id", "_name_or_path")


def written_out(value):
    if isinstance(value, dict):
        return {key: written_out(inner) for key, inner in value.items() if inner is not None and key not in DROPPED}
    return value


def is_text(key):
    return bool(re.search("text|language|thinker|talker|llm", key))


def shaped(full, name, shapes=None):
    """Only what is changed: the sizes of each part, with the part's type where the config states it."""
    changed = {key: value for key, value in (shapes or {}).items() if full.get(key) is not None and key not in FIXED.get(full.get("model_type"), ())}
    layers = changed.get("num_hidden_layers")
    if "vocab_size" in changed and isinstance(full.get("pad_token_id"), int):
        changed["pad_token_id"] = 0
    for key in LISTS:
        if isinstance(full.get(key), list) and layers is not None:
            short = full[key][:layers]
            changed[key] = [value for value in full[key] if value < layers] if key in ("moe_layers", "full_attn_idxs") else short
    for key, value in full.items():
        if isinstance(value, dict) and key.endswith("config"):
            inner = shaped(value, name, TEXT[name] if is_text(key) else TOWER[name])
            if inner:
                kind = {"model_type": value["model_type"]} if value.get("model_type") else {}
                changed[key] = {**kind, **inner}
    return changed


def merged(under, over):
    """`over` laid on `under`, part by part."""
    both = isinstance(under, dict) and isinstance(over, dict)
    return {**under, **{key: merged(under[key], value) if key in under else value for key, value in over.items()}} if both else over


def tie(full, changed, tied):
    """Says it of the whole and of its text model alike; where the whole has no such key, nothing is tied."""
    said = "tie_word_embeddings" in full
    for key, part in changed.items():
        if isinstance(part, dict) and isinstance(full.get(key), dict) and is_text(key):
            tie(full[key], part, tied and said)
    if said:
        changed["tie_word_embeddings"] = tied


def rows(kind):
    needed = NEEDED.get(kind, {})
    default = AutoConfig.for_model(kind, **needed)
    if getattr(default, "is_encoder_decoder", False):
        raise ValueError("encoder and decoder")
    full = stated(default)
    nested = next((full[key] for key in ("text_config", "language_config") if isinstance(full.get(key), dict)), None)
    # transformers 5 ties by the outer key; files written before, and the published models, by the text model's.
    tied = {"tie_word_embeddings": nested["tie_word_embeddings"]} if nested and "tie_word_embeddings" in full and nested.get("tie_word_embeddings") not in (None, full["tie_word_embeddings"]) else {}

    def row(variant, config, build):
        total, text = count(kind, build)
        return dict(model_type=kind, variant=variant, config=config, total=total, text=text)

    yield row("default", {"model_type": kind, **needed, **tied}, AutoConfig.for_model(kind, **needed, **tied))
    yield row("full", written_out(full), AutoConfig.for_model(kind, **needed))
    for name in TEXT:
        flat = nested is None and "thinker_config" not in full
        changed = merged(merged(needed, shaped(full, name, TEXT[name] if flat else None)), ASKED.get(kind, {}).get(name, {}))
        # Whether the output is tied is said wherever a file can say it.
        tie(full, changed, name == "wide")
        yield row(name, {"model_type": kind, **changed}, AutoConfig.for_model(kind, **json.loads(json.dumps(changed))))


def kinds():
    tables = {**modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES, **modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES}
    return sorted(set(tables) - OTHERS)


if __name__ == "__main__":
    found = []
    for kind in sys.argv[1:] or kinds():
        made = 0
        try:
            for row in rows(kind):
                found.append(row)
                made += 1
        except Exception as error:
            print(f"{kind}: after {made} rows: {type(error).__name__}: {str(error).strip().splitlines()[0][:160] if str(error).strip() else ''}", file=sys.stderr)
        else:
            print(f"{kind}: {made} rows", file=sys.stderr)
    print("[\n" + ",\n".join(json.dumps(row, default=str) for row in found) + "\n]")
