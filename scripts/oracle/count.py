"""Counts what the official modelling code builds, for every causal language model of transformers.

    python scripts/oracle/count.py                    # every type, into test/oracle/transformers.json
    python scripts/oracle/count.py llama4 gemma3      # these types alone; the other rows stay

Needs torch 2.13.0 and transformers 5.18.0. Each class is built on the meta device, so no weight is made: with its default
config, with the same config written out, and with other shapes (SHAPES) that the official code can run. A config with towers
builds the whole model, not its text part alone. Parameters are counted once (tied matrices), with the buffers that checkpoints
store and published counts include (STORED), without matrices that the class allocates but neither reads nor loads (UNREAD).
A row is {model_type, variant, config, total}; what cannot be built is written to test/oracle/unbuilt.json with the reason.
"""

import copy
import json
import re
import signal
import sys
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, masking_utils
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES
from transformers.utils import logging

from shapes import OWN

logging.set_verbosity_error()
# Looks into the values of positions, which meta tensors have not.
masking_utils.find_packed_sequence_indices = lambda *_, **__: None
HERE = Path(__file__).resolve().parents[2] / "test" / "oracle"

# Router correction biases, layer scales, and DeepSeek-V4's table of experts by token: buffers here, tensors in checkpoints.
STORED = ("e_score_correction_bias", "expert_bias", "balancing_biases", "layer_scalar", "tid2eid", "encoder_embedding.global_mean", "encoder_embedding.global_invstd")


def unread(config, name, parameter):
    """LongCat-Flash's class has gate and up matrices for its zero experts too, which compute nothing; no checkpoint has them."""
    if config.model_type == "longcat_flash" and name.endswith("mlp.experts.gate_up_proj"):
        return parameter.numel() // parameter.shape[0] * config.zero_expert_num
    return 0


LATENT = dict(q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=40)
EXPERTS = dict(
    num_experts=12, num_local_experts=12, n_routed_experts=12, moe_num_experts=12, num_experts_per_tok=3, moe_topk=3, moe_k=3,
    num_shared_experts=3, n_shared_experts=3, moe_num_shared_experts=3, n_group=3, topk_group=2, moe_intermediate_size=136,
    shared_expert_intermediate_size=152, shared_intermediate_size=168, expert_ffn_hidden_size=136, first_k_dense_replace=2,
    num_dense_layers=2, moe_layer_start_index=2, zero_expert_num=5, top_k_experts=3,
)  # fmt: skip
SHAPES = {
    "small": dict(hidden_size=512, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=2, head_dim=64, intermediate_size=1408, vocab_size=1024, moe_intermediate_size=256),
    "wide": dict(hidden_size=768, num_hidden_layers=8, num_attention_heads=12, num_key_value_heads=4, intermediate_size=2048, vocab_size=2000, tie_word_embeddings=True),
    # Every switch of biases, norms and tying the other way; see switches().
    "switched": dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, intermediate_size=640, vocab_size=512),
    # Odd sizes, few experts, several dense layers in front, own widths of heads.
    "odd": dict(hidden_size=384, num_hidden_layers=7, num_attention_heads=6, num_key_value_heads=3, head_dim=40, intermediate_size=1000, vocab_size=997, max_position_embeddings=640, sliding_window=48, **EXPERTS, **LATENT),
}  # fmt: skip
LISTS = ("layer_types", "mlp_layer_types", "layers_block_type", "indexer_types")

QWEN4 = dict(
    indexer_n_heads=4, indexer_kv_heads=1, indexer_head_dim=64, indexer_budget=64, indexer_compress_ratio=4, ple_layer_ids=[1, 3], ple_embed_dim=96,
    heads_per_ngram=3, ngram_vocab_size_base=1000, hc_lowrank=24, hc_count=3, eos_token_id=1, num_experts=12, num_experts_per_tok=3, head_dim=64,
)  # fmt: skip

# What single families need besides, so that the common shapes are theirs.
BESIDES = {
    "dots1": dict(num_key_value_heads=4, n_routed_experts=8, n_shared_experts=2, n_group=2, topk_group=1, num_experts_per_tok=2, first_k_dense_replace=1, moe_intermediate_size=96),
    "gemma3n_text": dict(num_kv_shared_layers=2, laurel_rank=24, hidden_size_per_layer_input=32, vocab_size_per_layer_input=300, layer_types=["sliding_attention", "full_attention"] * 4),
    "gpt_neo": dict(num_layers=4, attention_types=[[["global", "local"], 2]], num_hidden_layers=4),
    "hy_v4": dict(num_attention_heads=4),
    "hunyuan_v1_dense": dict(head_dim=64),
    "hunyuan_v1_moe": dict(head_dim=64, num_experts=4, moe_topk=2),
    "lfm2_moe": dict(layer_types=["conv", "full_attention"] * 4),
    "ministral": dict(head_dim=64),
    "qwen4_exp_text": QWEN4,
    "qwen4_exp": QWEN4,
    "dbrx": dict(attn_config=dict(kv_n_heads=2, clip_qkv=8, rope_theta=10000.0), ffn_config=dict(ffn_hidden_size=700, moe_num_experts=6, moe_top_k=2), d_model=256, n_heads=4, n_layers=3, tie_word_embeddings=False),
    "cohere_compass_text": dict(rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=10000.0, mrope_section=[8, 12, 12]))),
}  # fmt: skip

# No decoder-only language models, though the classes can be asked to predict the next token.
REFUSED = {
    kind: "an encoder that can be run as a decoder"
    for kind in ("bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod", "xlm", "xlnet", "reformer")
} | {kind: "an encoder and a decoder" for kind in ("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "git", "marian", "mbart", "moshi", "musicgen", "musicgen_melody", "mvp", "pegasus", "plbart", "prophetnet", "trocr", "whisper")}  # fmt: skip
SECONDS = 120


def stop(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, stop)


def build(config):
    kind = config.model_type
    name = MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES.get(kind) or MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind]
    signal.alarm(SECONDS)
    try:
        with torch.device("meta"):
            model = getattr(transformers, name)._from_config(copy.deepcopy(config), attn_implementation="eager")
    finally:
        signal.alarm(0)
    model.tie_weights()
    return model


def count(model):
    seen, total = set(), 0
    for name, parameter in model.named_parameters():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            total += parameter.numel() - unread(model.config, name, parameter)
    for name, buffer in model.named_buffers():
        if name.endswith(STORED):
            total += buffer.numel()
    return total


def misfit(model):
    """The sentence with which matrices of the wrong shape refuse eight tokens; None where they run, or where meta tensors cannot tell."""
    signal.alarm(SECONDS)
    try:
        with torch.device("meta"), torch.no_grad():
            model(input_ids=torch.zeros((1, 8), dtype=torch.long), use_cache=False)
    except Exception as error:
        text = str(error)
        if re.search(r"mat1 and mat2|reduction dim|broadcast|shape '|must match|size of tensor|Expected size|divisible|normalized_shape", text):
            return text.splitlines()[0][:160]
    finally:
        signal.alarm(0)
    return None


def switches(config):
    """Biases, query-key norms and tying, each the other way."""
    wanted = re.compile(r"(^|_)bias(_|$)|qk_?(layer)?norm|qk_layernorm|^tie_word_embeddings$")
    skip = re.compile(r"use_cache|sink_bias|relative|position_bias")
    return {k: not v for k, v in config.to_dict().items() if isinstance(v, bool) and wanted.search(k) and not skip.search(k)}


def settable(config):
    """Names under which a config takes a size: its own and its aliases, without what it computes."""
    fixed = {k for k in dir(type(config)) if isinstance(getattr(type(config), k, None), property) and getattr(type(config), k).fset is None}
    return (set(config.to_dict()) | set(config.attribute_map)) - fixed


def text_of(config):
    """The text model's config within one that has towers too."""
    inner = getattr(config, "text_config", None)
    return inner if inner is not None and "hidden_size" not in config.to_dict() else config


def shaped(kind, wanted):
    """A config of the class with those of the wanted sizes that it knows, and what a file would have to say for it."""
    default = AutoConfig.for_model(kind)
    text = text_of(default)
    names = settable(text)
    layers = wanted["num_hidden_layers"]
    aliased = {k for k in wanted if text.attribute_map.get(k) in wanted}
    known = {k: v[:layers] if k in LISTS else v for k, v in wanted.items() if k in names - aliased}
    if text is default:
        return AutoConfig.for_model(kind, **copy.deepcopy(known)), known, known
    sizes = {"model_type": text.model_type, **known}
    # Releases differ in whose key decides, so both say the same.
    both = {k: v for k, v in known.items() if k == "tie_word_embeddings"}
    return AutoConfig.for_model(kind, text_config=copy.deepcopy(sizes), **both), {**both, "text_config": sizes}, sizes


def reason_of(error):
    text = str(error).strip()
    return f"{type(error).__name__}: {' '.join(text.split())[:200]}"


def fitted(kind, wanted):
    """The first of a few readings of a shape that the official code can run."""
    wanted = {**wanted, **BESIDES.get(kind, {})}
    heads = {"head_dim": wanted["hidden_size"] // wanted["num_attention_heads"]}
    grouped = {"num_key_value_heads": wanted["num_attention_heads"]}
    reasons = []
    rotary = {"head_dim": wanted.get("qk_rope_head_dim")}
    for change in ({}, heads, grouped, {**heads, **grouped}, {**rotary, **grouped}):
        try:
            config, stated, sizes = shaped(kind, {**wanted, **change})
            text = text_of(config)
            config.pad_token_id = text.pad_token_id = 0
            for key in LISTS:
                listed = getattr(text, key, None)
                layers = getattr(text, "num_hidden_layers", None)
                if isinstance(listed, (list, tuple)) and layers is not None and len(listed) != layers:
                    setattr(text, key, list(listed)[:layers])
                    sizes[key] = list(listed)[:layers]
            model = build(config)
            reason = misfit(model)
            if reason is None:
                return {"model_type": kind, **stated}, count(model)
            reasons.append(reason)
        except Exception as error:
            reasons.append(reason_of(error))
    raise ValueError(reasons[0])


COMMON = set(transformers.PreTrainedConfig().to_dict()) - {"tie_word_embeddings"}
NOISE = re.compile(r"dropout|_token_id|token_index|initializer|^rope_|_eps$|^eps$|layerdrop|router_aux|logit|pdrop|^init_|init_std|time_step_(limit|min|max|floor)|summary_|^use_cache$|pretraining_tp")


def plain(value):
    """A config as a file would have it: no nulls, and nothing that says only how to run or to train."""
    if not isinstance(value, dict):
        return value
    common = COMMON | {"transformers_version", "id2label", "label2id"}
    return {k: plain(v) for k, v in value.items() if k == "model_type" or not (v is None or k.startswith("_") or k in common or NOISE.search(k))}


def rows(kind, unbuilt):
    default = AutoConfig.for_model(kind)
    full = json.loads(default.to_json_string(use_diff=False))
    try:
        total = count(build(default))
        yield dict(model_type=kind, variant="default", config={"model_type": kind}, total=total)
        yield dict(model_type=kind, variant="full", config=plain(full), total=total)
    except Exception as error:
        unbuilt[f"{kind} default"] = reason_of(error)
    for name, shape in zip(SHAPES, OWN.get(kind, ())):
        yield dict(model_type=kind, variant=name, config={"model_type": kind, **shape}, total=count(build(AutoConfig.for_model(kind, **copy.deepcopy(shape)))))
    for name, wanted in list(SHAPES.items())[len(OWN.get(kind, ())) :]:
        shape = {**wanted, **switches(text_of(default))} if name == "switched" else wanted
        try:
            config, total = fitted(kind, shape)
            yield dict(model_type=kind, variant=name, config=config, total=total)
        except Exception as error:
            unbuilt[f"{kind} {name}"] = str(error)


if __name__ == "__main__":
    kinds = sys.argv[1:] or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    table, reasons = HERE / "transformers.json", HERE / "unbuilt.json"
    found = [row for row in json.loads(table.read_text()) if row["model_type"] not in kinds] if table.exists() else []
    unbuilt = {k: v for k, v in json.loads(reasons.read_text()).items() if k.split()[0] not in kinds} if reasons.exists() else {}
    for kind in kinds:
        if kind in REFUSED:
            unbuilt[kind] = REFUSED[kind]
            continue
        try:
            made = list(rows(kind, unbuilt))
            found += made
            print(f"{kind}: {len(made)} rows", file=sys.stderr)
        except Exception as error:
            unbuilt[kind] = reason_of(error)
            print(f"{kind}: {unbuilt[kind]}", file=sys.stderr)
    order = ["default", "full", *SHAPES]
    found.sort(key=lambda row: (row["model_type"], order.index(row["variant"])))
    table.write_text("[\n" + ",\n".join(json.dumps(row, default=str, separators=(",", ":")) for row in found) + "\n]\n")
    reasons.write_text(json.dumps(dict(sorted(unbuilt.items())), indent=2) + "\n")
