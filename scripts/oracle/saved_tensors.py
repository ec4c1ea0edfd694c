"""What the official modelling code keeps for its backward pass: bytes for each token and layer, counted from small random models on the CPU.

    python scripts/oracle/saved_tensors.py > test/oracle/saved.json

Needs torch 2.13.0 and transformers 5.18.0. Two models that differ by one layer are run under saved-tensor hooks; the difference
is one layer. Storages are counted once, parameters not at all. Attention is PyTorch's scaled_dot_product_attention, whose flash
kernel keeps queries, keys, values, its output and the log-sum-exp, never the scores. Latent attention is not in the list: on the CPU PyTorch has no flash kernel for
values of another width than queries. Falcon hands over one key head for all queries, which no fused kernel takes on any device: its
scores are counted.
"""

import json
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

import cuda_autocast

logging.set_verbosity_error()
cuda_autocast.install()
B, S = 1, 512
SHAPE = dict(hidden_size=1024, num_attention_heads=16, num_key_value_heads=4, intermediate_size=2816, vocab_size=4096)
FAMILIES = {
    "llama": dict(SHAPE),
    "mistral": dict(SHAPE, head_dim=64, sliding_window=None),
    "qwen2": dict(SHAPE),
    "qwen3": dict(SHAPE, head_dim=64),
    "gemma": dict(SHAPE, head_dim=64),
    "gemma2": dict(SHAPE, head_dim=64),
    "gemma3_text": dict(SHAPE, head_dim=64),
    "phi3": dict(SHAPE, pad_token_id=0),
    "olmo2": dict(SHAPE),
    "granite": dict(SHAPE),
    "gpt2": dict(n_embd=1024, n_head=16, vocab_size=4096, n_positions=1024, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0),
    "gpt_bigcode": dict(n_embd=1024, n_head=16, vocab_size=4096, n_positions=1024, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0),
    "gpt_neox": dict(SHAPE, num_key_value_heads=16),
    "opt": dict(hidden_size=1024, num_attention_heads=16, ffn_dim=4096, vocab_size=4096, word_embed_proj_dim=1024, dropout=0.0),
    "starcoder2": dict(SHAPE),
    "phi": dict(SHAPE, num_key_value_heads=16),
    "falcon": dict(hidden_size=1024, num_attention_heads=16, multi_query=True, new_decoder_architecture=False, parallel_attn=True, bias=False, alibi=False, vocab_size=4096),
    "olmo": dict(SHAPE),
    "cohere": dict(SHAPE),
    "stablelm": dict(SHAPE),
    "nemotron": dict(SHAPE),
    "glm4": dict(SHAPE, head_dim=64, pad_token_id=0),
    "smollm3": dict(SHAPE, pad_token_id=0),
    "exaone4": dict(SHAPE),
    "qwen3_moe": dict(SHAPE, head_dim=64, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=512),
    "olmoe": dict(SHAPE, num_experts=8, num_experts_per_tok=2),
    "granitemoe": dict(SHAPE, num_local_experts=8, num_experts_per_tok=2),
    "mixtral": dict(SHAPE, num_local_experts=8, num_experts_per_tok=2, head_dim=64),
}

WRITTEN_OUT = {"falcon"}


def build(kind, layers, checkpoint):
    config = AutoConfig.for_model(kind, **FAMILIES[kind])
    for key in ("num_hidden_layers", "n_layer"):
        if hasattr(config, key):
            setattr(config, key, layers)
    if getattr(config, "layer_types", None):
        config.layer_types = ["full_attention"] * layers
    config.use_cache = False
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa", dtype=torch.bfloat16)
    model.train()
    if checkpoint:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model


def saved(kind, layers, checkpoint=False):
    model = build(kind, layers, checkpoint)
    own = {p.untyped_storage()._cdata for p in model.parameters()} | {b.untyped_storage()._cdata for b in model.buffers()}
    kept, alive = {}, []

    def pack(tensor):
        key = tensor.untyped_storage()._cdata
        if key not in own and key not in kept:
            alive.append(tensor)  # keeps the storage, so that its address is not used again
            kept[key] = (tensor.untyped_storage().nbytes(), tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        return tensor

    ids = torch.zeros((B, S), dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), cuda_autocast.autocast():
        model(input_ids=ids).logits
    return list(kept.values())


def describe(kind, checkpoint, verbose):
    few, many = saved(kind, 2, checkpoint), saved(kind, 3, checkpoint)
    rest = list(few)
    layer = []
    for row in many:
        if row in rest:
            rest.remove(row)
        else:
            layer.append(row)
    scores = [row for row in layer if len(row[1]) >= 3 and row[1][-1] == S and row[1][-2] == S and kind not in WRITTEN_OUT]
    tokens = [row for row in layer if row not in scores]
    if verbose:
        for row in sorted(tokens, key=lambda r: -r[0]):
            print(f"   {row[0] / (B * S):10.1f} B/token {row[2]:9} {row[1]}", file=sys.stderr)
        print("   scores", scores, file=sys.stderr)
    return dict(model_type=kind, config=FAMILIES[kind], gradient_checkpointing=checkpoint, bytes_per_token=sum(r[0] for r in tokens) / (B * S))


if __name__ == "__main__":
    wanted = [a for a in sys.argv[1:] if not a.startswith("-")] or list(FAMILIES)
    rows = []
    for kind in wanted:
        for checkpoint in (False, True):
            try:
                rows.append(describe(kind, checkpoint, "-v" in sys.argv and not checkpoint))
                print(kind, checkpoint, rows[-1]["bytes_per_token"], file=sys.stderr)
            except Exception as error:
                print(kind, checkpoint, "failed:", repr(error)[:300], file=sys.stderr)
    print(json.dumps(rows, indent=1))
