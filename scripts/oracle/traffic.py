"""Bytes that one layer of an official Transformers model moves outside of its products and attention kernels, and its kernels.

    python scripts/oracle/traffic.py > test/oracle/traffic.json

Needs what peak.py needs. Every operation that PyTorch dispatches reads its inputs and writes its results once; a view moves nothing. A
layer is the difference between a model of three layers and one of two, for each token, in the second step.
"""

import collections
import contextlib
import json
import sys

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

import cuda_autocast
import peak

# What has a rate of its own: products, attention, and rows added by index to a tensor of zeros.
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "_scaled_dot_product", "_grouped_mm", "index_put", "new_zeros")
VIEWS = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "arange", "detach", "alias", "view", "t", "transpose", "expand", "slice",
         "select", "unsqueeze", "_unsafe_view", "split", "as_strided", "permute", "squeeze", "unbind", "split_with_sizes", "ones_like"}


def size(tensor):
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def tensors(values):
    return [one for one in tree_flatten(values)[0] if isinstance(one, torch.Tensor)]


class Traffic(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.phase, self.bytes, self.kernels = "", collections.Counter(), collections.Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.__name__.split(".")[0]
        if name in VIEWS or name.startswith(PRODUCTS):
            return result
        read, written = tensors((args, kwargs or {})), tensors(result)
        known = {one.untyped_storage()._cdata for one in read}
        fresh = [one for one in written if one.untyped_storage()._cdata not in known]
        if not fresh and not name.endswith("_"):
            return result
        self.bytes[self.phase] += sum(map(size, read)) + sum(map(size, written if name.endswith("_") else fresh))
        self.kernels[self.phase] += 1
        return result


def step(kind, shape, one):
    model = peak.build(kind, shape, one)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = peak.materialise(model)
        traffic = Traffic()
        with traffic:
            for number in ("first", "second"):
                traffic.phase = f"{number} forward"
                ids = torch.zeros((one["micro_batch_size"], one["sequence_length"]), dtype=torch.long)
                with cuda_autocast.autocast() if one["precision"] == "bf16" else contextlib.nullcontext():
                    loss = model(input_ids=ids, labels=ids).loss
                traffic.phase = f"{number} backward"
                loss.backward()
                del loss
                model.zero_grad()
    return traffic


def layer(kind, shape, one):
    key = "n_layer" if "n_layer" in shape else "num_hidden_layers"
    two, three = (step(kind, {**shape, key: layers}, one) for layers in (2, 3))
    tokens = one["micro_batch_size"] * one["sequence_length"]
    phase = lambda name: dict(bytes=(three.bytes[f"second {name}"] - two.bytes[f"second {name}"]) / tokens, kernels=three.kernels[f"second {name}"] - two.kernels[f"second {name}"])
    return dict(forward=phase("forward"), backward=phase("backward"))


# Many tokens, so that casts of weights do not count.
def run(**rest):
    return peak.run(8192, 8, **rest)


WIDE = dict(hidden_size=2048, num_attention_heads=32, num_key_value_heads=8, head_dim=64, intermediate_size=8192, vocab_size=1024)
QWEN3 = dict(hidden_size=1024, num_attention_heads=16, num_key_value_heads=8, head_dim=128, intermediate_size=3072, vocab_size=1024)
GPT2 = dict(n_embd=1280, n_head=20, n_layer=3, vocab_size=1024, n_positions=8192, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0)
NEOX = dict(hidden_size=2048, num_attention_heads=8, intermediate_size=8192, vocab_size=1024)
OLMOE = dict(hidden_size=1024, num_attention_heads=8, num_key_value_heads=8, intermediate_size=512, num_experts=16, num_experts_per_tok=4, vocab_size=1024)
QWEN3_MOE = dict(hidden_size=1024, num_attention_heads=8, num_key_value_heads=2, head_dim=128, intermediate_size=3072, moe_intermediate_size=512, num_experts=16, num_experts_per_tok=4, vocab_size=1024)
MIXTRAL = dict(hidden_size=1024, num_attention_heads=8, num_key_value_heads=2, intermediate_size=2048, num_local_experts=8, num_experts_per_tok=2, vocab_size=1024)
GEMMA = dict(hidden_size=1024, num_attention_heads=16, num_key_value_heads=4, head_dim=64, intermediate_size=2816, vocab_size=1024)
MIXED = dict(weights_dtype="bf16")
CASES = [
    ("llama", WIDE, run(**MIXED)),
    ("llama", WIDE, run()),
    ("llama", dict(WIDE, num_key_value_heads=32), run(precision="fp32")),
    ("mistral", dict(WIDE, sliding_window=None), run(**MIXED)),
    ("qwen2", dict(WIDE, head_dim=None), run(**MIXED)),
    ("qwen3", QWEN3, run(**MIXED)),
    ("phi3", dict(WIDE, num_key_value_heads=32, pad_token_id=0), run(**MIXED)),
    ("gpt2", GPT2, run()),
    ("gpt_neox", NEOX, run(**MIXED)),
    ("gemma", GEMMA, run(**MIXED)),
    ("gemma2", GEMMA, run(**MIXED)),
    ("olmoe", OLMOE, run(**MIXED)),
    ("qwen3_moe", QWEN3_MOE, run(**MIXED)),
    ("mixtral", MIXTRAL, run(**MIXED)),
]

if __name__ == "__main__":
    rows = []
    for kind, shape, one in CASES:
        shape = {name: value for name, value in shape.items() if value is not None or name == "sliding_window"}
        counted = layer(kind, shape, one)
        rows.append(dict(config={"model_type": kind, **shape}, run={"framework": "transformers", "gpus": 1, "sharding": "none", **one}, **counted))
        print(kind, one.get("weights_dtype"), counted, file=sys.stderr)
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
