"""Counts what the official modelling code builds, for every causal language model of transformers.

    python scripts/oracle/count.py > test/oracle/transformers.json

Needs torch 2.13.0 and transformers 5.18.0. Each class is built on the meta device, so no weight is made: once with its default
config and with two other shapes. Parameters are counted once (tied matrices), with the router correction biases that
checkpoints store as buffers. A row is {model_type, variant, config, total}; what cannot be built is named with the reason.
"""

import copy
import json
import signal
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from shapes import OWN

logging.set_verbosity_error()
STORED = ("e_score_correction_bias", "expert_bias", "balancing_biases", "moe_statics.e_score_correction_bias", "layer_scalar")
SHAPES = {
    "small": dict(hidden_size=512, num_hidden_layers=6, num_attention_heads=8, num_key_value_heads=2, head_dim=64, intermediate_size=1408, vocab_size=1024, moe_intermediate_size=256),
    "wide": dict(hidden_size=768, num_hidden_layers=8, num_attention_heads=12, num_key_value_heads=4, intermediate_size=2048, vocab_size=2000, tie_word_embeddings=True),
}
# Their causal class is the text model alone; the published models have the tower too.
WITH_TOWER = ("qwen3_5", "qwen3_5_moe")
SECONDS = 60


def stop(*_):
    raise TimeoutError


signal.signal(signal.SIGALRM, stop)


def count(config):
    signal.alarm(SECONDS)
    try:
        with torch.device("meta"):
            kind = AutoModelForImageTextToText if config.model_type in WITH_TOWER else AutoModelForCausalLM
            model = kind.from_config(config, attn_implementation="eager")
    finally:
        signal.alarm(0)
    model.tie_weights()
    seen, total = set(), 0
    for parameter in model.parameters():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            total += parameter.numel()
    for name, buffer in model.named_buffers():
        if name.endswith(STORED):
            total += buffer.numel()
    return total


def plain(config, wanted):
    """The config as a file would have it: only what was set, and the type."""
    return {"model_type": config.model_type, **wanted}


def rows(kind):
    default = AutoConfig.for_model(kind)
    if getattr(default, "is_encoder_decoder", False):
        raise ValueError("encoder and decoder")
    full = json.loads(default.to_json_string(use_diff=False))
    keep = {k: v for k, v in full.items() if v is not None and not k.startswith("_") and k not in ("transformers_version", "id2label", "label2id")}
    # A class whose default names no layers cannot be built with it.
    if kind != "lfm2_moe":
        yield dict(model_type=kind, variant="default", config={"model_type": kind}, total=count(default))
        yield dict(model_type=kind, variant="full", config=keep, total=count(AutoConfig.for_model(kind)))
    if kind in OWN:
        for name, shape in zip(SHAPES, OWN[kind]):
            yield dict(model_type=kind, variant=name, config={"model_type": kind, **shape}, total=count(AutoConfig.for_model(kind, **shape)))
        return
    for name, shape in SHAPES.items():
        known = {k: v for k, v in shape.items() if k in full}
        config = AutoConfig.for_model(kind, **known)
        for key in ("layer_types", "mlp_layer_types", "layers_block_type"):
            listed = getattr(config, key, None)
            if isinstance(listed, (list, tuple)) and len(listed) != getattr(config, "num_hidden_layers", len(listed)):
                setattr(config, key, list(listed)[: config.num_hidden_layers])
                known[key] = list(listed)[: config.num_hidden_layers]
        yield dict(model_type=kind, variant=name, config={"model_type": kind, **known}, total=count(config))


if __name__ == "__main__":
    kinds = sys.argv[1:] or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    found = []
    for kind in kinds:
        made = 0
        try:
            for row in rows(kind):
                found.append(row)
                made += 1
        except Exception as error:
            print(f"{kind}: after {made} rows: {type(error).__name__}: {str(error).splitlines()[0][:160] if str(error) else ''}", file=sys.stderr)
        else:
            print(f"{kind}: {made} rows", file=sys.stderr)
    print("[\n" + ",\n".join(json.dumps(copy.deepcopy(row), default=str) for row in found) + "\n]")
