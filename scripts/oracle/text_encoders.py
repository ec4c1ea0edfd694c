"""What official encoders of texts compute and keep: FLOPs of one text, and bytes that one layer keeps for its backward pass.

    python scripts/oracle/text_encoders.py > test/oracle/text-encoders.json

Needs torch 2.13.0 and transformers 5.18.0. Small random encoders run on the CPU in bf16 under autocast, with cuda_autocast.py's choices. FLOPs
are FlopCounterMode's of the forward pass of the body; `once` of them do not grow with the number of texts (DeBERTa's table of distances).
Bytes are those that saved-tensor hooks see, of two encoders that differ by one layer.
"""

import json

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel
from transformers.utils import logging

import cuda_autocast

logging.set_verbosity_error()
cuda_autocast.install()
softmax = torch.nn.functional.softmax
# On CUDA a softmax without a dtype of its own is computed in fp32, too.
torch.nn.functional.softmax = lambda scores, dim=None, dtype=None, **_: softmax(scores, dim=dim, dtype=dtype or (torch.float32 if cuda_autocast.on() else None))
S = 512
SIZES = dict(hidden_size=256, num_attention_heads=4, intermediate_size=1024, vocab_size=1024, max_position_embeddings=1024, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
ENCODERS = {
    "bert": dict(SIZES, type_vocab_size=2),
    "eurobert": dict({k: v for k, v in SIZES.items() if "dropout" not in k}, num_key_value_heads=2, pad_token_id=0),
    "deberta-v2": dict(SIZES, relative_attention=True, position_buckets=128, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm", position_biased_input=False),
    "longformer": dict(SIZES, attention_window=128, max_position_embeddings=1026),
    "big_bird": dict(SIZES, attention_type="original_full"),
}  # fmt: skip


def build(kind, layers, attention="sdpa"):
    config = AutoConfig.for_model(kind, **json.loads(json.dumps(ENCODERS[kind])), num_hidden_layers=layers)
    torch.manual_seed(0)
    model = AutoModel.from_config(config, attn_implementation="eager" if kind in ("deberta-v2", "longformer", "big_bird") else attention, dtype=torch.bfloat16)
    return model.train()


def flops(kind, texts):
    ids = torch.ones((texts, S), dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), cuda_autocast.autocast():
        # The counter does not know the CPU's attention kernel.
        build(kind, 2, "eager")(input_ids=ids)
    return counter.get_total_flops()


def saved(kind, layers):
    model = build(kind, layers)
    own = {one.untyped_storage()._cdata for one in (*model.parameters(), *model.buffers())}
    kept, alive = {}, []

    def pack(tensor):
        key = tensor.untyped_storage()._cdata
        if key not in own and key not in kept:
            alive.append(tensor)
            kept[key] = (tensor.untyped_storage().nbytes(), tuple(tensor.shape), str(tensor.dtype))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one), cuda_autocast.autocast():
        model(input_ids=torch.ones((1, S), dtype=torch.long))
    return list(kept.values())


if __name__ == "__main__":
    import sys

    rows = []
    for kind, config in ENCODERS.items():
        one, two = flops(kind, 1), flops(kind, 2)
        few, many = saved(kind, 2), saved(kind, 3)
        rest = list(few)
        layer = []
        for row in many:
            if row in rest:
                rest.remove(row)
            else:
                layer.append(row)
        if "-v" in sys.argv:
            for row in sorted(layer, key=lambda row: -row[0]):
                print(kind, f"{row[0] / S:10.1f} B/token", row[1], row[2], file=sys.stderr)
        rows.append(dict(config={"model_type": kind, **config, "num_hidden_layers": 2}, tokens=S, flops=two - one, once=2 * one - two, saved_bytes_per_token=sum(row[0] for row in layer) / S))
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]")
