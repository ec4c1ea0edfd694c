"""Counts what official models execute: PyTorch's FlopCounterMode over Transformers' own code, forward and backward.

    python scripts/oracle/flops.py > test/oracle/flops.json [model_type ...]

Needs torch 2.13.0 and transformers 5.18.0. Models have few layers and their real widths, and live on the meta device, so no
weight is made. Each is run in these ways, for one sequence:

    forward     eager attention, loss included
    sdpa        the same with scaled_dot_product_attention
    training    eager, forward and backward, all weights trained
    checkpoint  eager, forward and backward, every layer under torch.utils.checkpoint (non-reentrant, to its last operation)
    lora        eager, forward and backward, base weights frozen, an adapter of rank 16 on each named nn.Linear

A count is a dictionary by ATen operation. `positions` is what of them the tables of rotary position cost, and is not part of
the dictionary. Experts run as batched products, since a loop over experts depends on data, which the meta device has not.
What fails is named with its reason.
"""

import json
import sys

import torch
import torch.utils.checkpoint
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM, masking_utils
from transformers.utils import logging

logging.set_verbosity_error()
# Looks into the positions for packed sequences, which the meta device cannot. It decides about masks, not about products.
masking_utils.find_packed_sequence_indices = lambda position_ids: None
RANK = 16
LENGTH = 1024

# Overrides of the default config of a model type: fewer layers, at least one of each kind; a window shorter than the sequence.
MODELS = {
    "llama": dict(num_hidden_layers=2, hidden_size=4096, intermediate_size=14336, num_attention_heads=32, num_key_value_heads=8, vocab_size=128256),
    "mistral": dict(num_hidden_layers=2, sliding_window=256),
    "qwen2": dict(num_hidden_layers=2),
    "qwen3": dict(num_hidden_layers=2),
    "gemma": dict(num_hidden_layers=2),
    "gemma2": dict(num_hidden_layers=2, sliding_window=256),
    "gemma3_text": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "gpt2": dict(n_layer=2),
    "gpt_neo": dict(num_layers=2, attention_types=[[["global", "local"], 1]]),
    "gpt_neox": dict(num_hidden_layers=2),
    "gptj": dict(n_layer=2),
    "opt": dict(num_hidden_layers=2),
    "bloom": dict(n_layer=2, hidden_size=4096, n_head=32),
    "phi": dict(num_hidden_layers=2),
    "phi3": dict(num_hidden_layers=2),
    "falcon": dict(num_hidden_layers=2),
    "stablelm": dict(num_hidden_layers=2),
    "starcoder2": dict(num_hidden_layers=2),
    "olmo": dict(num_hidden_layers=2),
    "olmo2": dict(num_hidden_layers=2),
    "olmo3": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "cohere": dict(num_hidden_layers=2),
    "cohere2": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "granite": dict(num_hidden_layers=2),
    "smollm3": dict(num_hidden_layers=2, no_rope_layers=[1, 0], layer_types=["full_attention", "full_attention"]),
    "glm": dict(num_hidden_layers=2),
    "glm4": dict(num_hidden_layers=2),
    "nemotron": dict(num_hidden_layers=2, num_key_value_heads=8),
    "exaone4": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "arcee": dict(num_hidden_layers=2),
    "apertus": dict(num_hidden_layers=2),
    "seed_oss": dict(num_hidden_layers=2),
    "helium": dict(num_hidden_layers=2),
    "mixtral": dict(num_hidden_layers=2),
    "qwen2_moe": dict(num_hidden_layers=2),
    "qwen3_moe": dict(num_hidden_layers=2),
    "olmoe": dict(num_hidden_layers=2),
    "phimoe": dict(num_hidden_layers=2),
    "granitemoe": dict(num_hidden_layers=2, num_local_experts=32, num_experts_per_tok=8),
    "gpt_oss": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"]),
    "glm4_moe": dict(num_hidden_layers=2, first_k_dense_replace=1),
    "dots1": dict(num_hidden_layers=2, num_experts_per_tok=6, first_k_dense_replace=1, n_routed_experts=64, n_shared_experts=2, layer_types=["full_attention", "full_attention"]),
    "minimax_m2": dict(num_hidden_layers=2),
    "llama4_text": dict(num_hidden_layers=4, interleave_moe_layer_step=2, attention_chunk_size=256, no_rope_layers=[1, 1, 1, 0], layer_types=["chunked_attention"] * 3 + ["full_attention"]),
    "deepseek_v2": dict(num_hidden_layers=2, first_k_dense_replace=1, num_experts_per_tok=6, n_routed_experts=160, moe_intermediate_size=1536),
    "deepseek_v3": dict(num_hidden_layers=2, first_k_dense_replace=1),
    "deepseek_v32": dict(num_hidden_layers=2, first_k_dense_replace=1),
    "glm4_moe_lite": dict(num_hidden_layers=2),
    "mamba": dict(num_hidden_layers=2),
    "mamba2": dict(num_hidden_layers=2),
    "falcon_mamba": dict(num_hidden_layers=2),
    "jamba": dict(num_hidden_layers=4, attn_layer_period=4, attn_layer_offset=2),
    "bamba": dict(num_hidden_layers=2, attn_layer_indices=[1]),
    "falcon_h1": dict(num_hidden_layers=2),
    "granitemoehybrid": dict(num_hidden_layers=2, layer_types=["mamba", "attention"]),
    "nemotron_h": dict(layers_block_type=["mamba", "attention", "moe", "mlp"]),
    "recurrent_gemma": dict(num_hidden_layers=3),
    "lfm2": dict(num_hidden_layers=2, layer_types=["conv", "full_attention"]),
    "qwen3_next": dict(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"]),
    "qwen3_5_text": dict(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"]),
    "minimax": dict(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"]),
    "kimi_linear": dict(num_hidden_layers=2),
    "gpt_bigcode": dict(n_layer=2, n_embd=2048, n_head=16),
    "codegen": dict(n_layer=2),
    "mpt": dict(n_layers=2),
    "persimmon": dict(num_hidden_layers=2),
    "olmo_hybrid": dict(num_hidden_layers=2, layer_types=["linear_attention", "full_attention"]),
    "solar_open": dict(num_hidden_layers=2),
    "glm_moe_dsa": dict(num_hidden_layers=2),
    "hunyuan_v1_dense": dict(num_hidden_layers=2, head_dim=128),
    "bitnet": dict(num_hidden_layers=2),
    "hunyuan_v1_moe": dict(num_hidden_layers=2, head_dim=128, num_experts=8, moe_topk=2),
    "afmoe": dict(num_hidden_layers=2, num_dense_layers=1, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "aria_text": dict(num_hidden_layers=2),
    "axk1": dict(num_hidden_layers=2),
    "axk2": dict(num_hidden_layers=2),
    "biogpt": dict(num_hidden_layers=2),
    "cohere2_moe": dict(num_hidden_layers=2, num_key_value_heads=8, num_shared_experts=2, layer_types=["sliding_attention", "full_attention"], mlp_layer_types=["dense", "sparse"], sliding_window=256),
    "cohere_compass_text": dict(num_hidden_layers=2, rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=10000.0, mrope_section=[24, 20, 20]))),
    "ctrl": dict(n_layer=2),
    "cwm": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "deepseek_v4": dict(num_hidden_layers=3, layer_types=["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"], mlp_layer_types=["hash_moe", "moe", "moe"]),
    "doge": dict(num_hidden_layers=2, num_key_value_heads=4, is_moe=True, num_experts=1024, num_experts_per_tok=16),
    "ernie4_5": dict(num_hidden_layers=2),
    "ernie4_5_moe": dict(num_hidden_layers=2),
    "exaone_moe": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "flex_olmo": dict(num_hidden_layers=2),
    "gemma3n_text": dict(num_hidden_layers=4, num_kv_shared_layers=1, layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"], sliding_window=256),
    "gemma4_text": dict(num_hidden_layers=4, num_kv_shared_layers=2, layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"], sliding_window=256, use_double_wide_mlp=True),
    "gpt_neox_japanese": dict(num_hidden_layers=2),
    "granitemoe_swa": dict(num_hidden_layers=2, shared_intermediate_size=1024, sliding_window=256),
    "granitemoeshared": dict(num_hidden_layers=2),
    "hrm_text": dict(num_hidden_layers=2),
    "hy_v3": dict(num_hidden_layers=2),
    "hy_v4": dict(num_hidden_layers=3),
    "inkling_text": dict(num_hidden_layers=2, layer_types=["hybrid_sliding", "hybrid"], mlp_layer_types=["dense", "sparse"], sliding_window_size=256),
    "jais2": dict(num_hidden_layers=2),
    "laguna": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], num_attention_heads_per_layer=[64, 48], sliding_window=256),
    "mimo_v2_flash": dict(num_hidden_layers=2, layer_types=["full_attention", "sliding_attention"]),
    "minicpm3": dict(num_hidden_layers=2),
    "minimax_m3_vl_text": dict(num_hidden_layers=2, layer_types=["full_attention", "minimax_m3_sparse"], mlp_layer_types=["dense", "sparse"]),
    "ministral": dict(num_hidden_layers=2, head_dim=128, layer_types=["full_attention", "sliding_attention"], sliding_window=256),
    "ministral3": dict(num_hidden_layers=2),
    "modernbert-decoder": dict(num_hidden_layers=3),
    "nanochat": dict(num_hidden_layers=2),
    "vaultgemma": dict(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"], sliding_window=256),
    "xglm": dict(num_layers=2),
    "youtu": dict(num_hidden_layers=2),
}


def build(kind, overrides, attention):
    config = AutoConfig.for_model(kind, **overrides)
    config.use_cache = False
    with torch.device("meta"):
        try:
            model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, experts_implementation="batched_mm")
        except (TypeError, ValueError):
            model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    model.tie_weights()
    return model.to(torch.bfloat16)


def counted(model, backward):
    tokens = torch.zeros((1, LENGTH), dtype=torch.long, device="meta")
    counter = FlopCounterMode(display=False, depth=None)
    with counter:
        out = model(input_ids=tokens, labels=tokens, use_cache=False)
        if backward:
            out.loss.backward()
    counts = counter.get_flop_counts()
    total = {str(op).removeprefix("aten."): flops for op, flops in counts["Global"].items() if flops}
    tables = {}
    for name, by_op in counts.items():
        if name.split(".")[-1].startswith(("rotary_emb", "rotary_pos")) or name.endswith("rotary_emb_local") or ".rotary_embs." in name:
            for op, flops in by_op.items():
                key = str(op).removeprefix("aten.")
                tables[key] = tables.get(key, 0) + flops
    for op, flops in tables.items():
        total[op] = total.get(op, 0) - flops
    return {"by_operation": {op: flops for op, flops in sorted(total.items()) if flops}, "positions": sum(tables.values())}


class Adapted(torch.nn.Module):
    """A frozen matrix with B A x beside it."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.down = torch.nn.Linear(base.in_features, RANK, bias=False, device="meta", dtype=torch.bfloat16)
        self.up = torch.nn.Linear(RANK, base.out_features, bias=False, device="meta", dtype=torch.bfloat16)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def adapt(model, targets):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    adapted = 0
    for name, module in list(model.named_modules()):
        last = name.rsplit(".", 1)[-1]
        if last in targets and isinstance(module, torch.nn.Linear):
            parent = model.get_submodule(name.rsplit(".", 1)[0])
            setattr(parent, last, Adapted(module))
            adapted += 1
    return adapted


TARGETS = {
    "llama": ["q_proj", "v_proj"],
    "mistral": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "qwen3": ["down_proj"],
    "qwen2": ["o_proj"],
    "gemma": ["gate_proj", "up_proj"],
    "phi3": ["qkv_proj", "gate_up_proj"],
    "gpt_neox": ["query_key_value"],
    "deepseek_v3": ["q_b_proj", "kv_b_proj", "o_proj"],
    "qwen3_moe": ["q_proj", "v_proj"],
    "starcoder2": ["c_fc"],
    "falcon": ["query_key_value", "dense"],
    "qwen2_moe": ["o_proj"],
    "deepseek_v2": ["kv_a_proj_with_mqa"],
}


def run(kind, overrides):
    row = {"model_type": kind, "config": {"model_type": kind, **overrides}, "sequence_length": LENGTH, "counts": {}}
    failures = []

    def attempt(name, work):
        try:
            row["counts"][name] = work()
        except Exception as error:  # noqa: BLE001
            text = str(error).splitlines()
            failures.append(f"{name}: {type(error).__name__}: {text[0][:140] if text else ''}")

    attempt("forward", lambda: counted(build(kind, overrides, "eager").eval(), False))
    attempt("sdpa", lambda: counted(build(kind, overrides, "sdpa").eval(), False))
    attempt("training", lambda: counted(build(kind, overrides, "eager").train(), True))

    def checkpoint():
        model = build(kind, overrides, "eager").train()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        with torch.utils.checkpoint.set_checkpoint_early_stop(False):
            return counted(model, True)

    attempt("checkpoint", checkpoint)
    if kind in TARGETS:
        def lora():
            model = build(kind, overrides, "eager").train()
            if adapt(model, TARGETS[kind]) == 0:
                raise ValueError("no matrix has one of these names")
            return {**counted(model, True), "rank": RANK, "targets": TARGETS[kind]}

        attempt("lora", lora)
    for failure in failures:
        print(f"{kind}: {failure}", file=sys.stderr)
    return row


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(MODELS)
    rows = []
    for kind in wanted:
        row = run(kind, MODELS[kind])
        print(f"{kind}: {', '.join(row['counts'])}", file=sys.stderr)
        if row["counts"]:
            rows.append(row)
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
