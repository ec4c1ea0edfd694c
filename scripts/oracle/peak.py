"""Peaks of one training step of official Transformers models, as PyTorch allocates: forward, backward and optimizer.

    python scripts/oracle/peak.py > test/oracle/peaks.json
    python scripts/oracle/peak.py -v llama 3        the third case of llama, with what is alive at each peak

Needs torch 2.13.0, transformers 5.18.0, peft 0.21.0 (and accelerate 1.15.0, which peft imports). The second step is taken,
when optimizer states exist. Kernels' own workspace is not in a peak. What PyTorch's allocator would reserve (allocator.py) is beside it, with cuBLAS's
workspaces among the blocks; what leaves the model is made fp32, as accelerate does. In 16
bits products run under autocast, as the Trainer has it, with what CUDA's autocast computes in fp32 (cuda_autocast.py).
"""

import contextlib
import json
import sys
import warnings

warnings.filterwarnings("ignore")

import torch
import transformers.masking_utils as masking
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

import cuda_autocast
from allocator import reserved
from tracker import Tracker

logging.set_verbosity_error()
cuda_autocast.install()
# With real tensors Transformers looks whether the mask is plainly causal, and then makes none. Fake ones cannot be looked into.
masking.is_tracing = lambda *_: False
masking.find_packed_sequence_indices = lambda _: None

WIDE = dict(hidden_size=4096, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336, vocab_size=32000, num_hidden_layers=4)
SMALL = dict(hidden_size=1024, num_attention_heads=16, num_key_value_heads=4, intermediate_size=2816, vocab_size=2048, num_hidden_layers=3)
BF16 = dict(weights_dtype="bf16")
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]


def run(sequence=2048, batch=1, micro=1, **rest):
    return dict(sequence_length=sequence, micro_batch_size=batch, global_batch_size=batch * micro, **{"precision": "bf16", "optimizer_implementation": "foreach", **rest})


def adapters(targets=ATTENTION, rank=16):
    return dict(lora=dict(rank=rank, targets=targets))


CASES = [
    ("llama", WIDE, run(**BF16)),
    ("llama", WIDE, run(8192, **BF16)),
    ("llama", WIDE, run(8192, **BF16, recompute="full")),
    ("llama", WIDE, run(4096, 4, **BF16, recompute="full")),
    ("llama", WIDE, run(4096, micro=2, **BF16)),
    ("llama", WIDE, run(4096)),
    ("llama", WIDE, run(8192, 2)),
    ("llama", WIDE, run(8192, 2, recompute="full")),
    ("llama", WIDE, run(4096, precision="fp32")),
    ("llama", WIDE, run(4096, **adapters())),
    ("llama", WIDE, run(8192, **adapters(), recompute="full")),
    ("llama", WIDE, run(4096, **adapters(["all-linear"]))),
    ("llama", WIDE, run(4096, **adapters(["q_proj", "v_proj"], 64))),
    ("llama", WIDE, run(1024, 2, **BF16, flash_attention=False)),
]
for kind, shape in {
    "mistral": dict(WIDE, sliding_window=None),
    "qwen2": SMALL,
    "qwen3": dict(SMALL, head_dim=128),
    "gemma": dict(SMALL, head_dim=64),
    "gemma2": dict(SMALL, head_dim=64),
    "gemma3_text": dict(SMALL, head_dim=64),
    "phi": dict(SMALL, num_key_value_heads=16),
    "phi3": dict(SMALL, pad_token_id=0),
    "olmo": SMALL,
    "olmo2": SMALL,
    "granite": SMALL,
    "cohere": SMALL,
    "stablelm": SMALL,
    "starcoder2": SMALL,
    "gpt_neox": dict(SMALL, num_key_value_heads=16),
    "gpt2": dict(n_embd=1024, n_head=16, n_layer=3, vocab_size=2048, n_positions=2048, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0),
    "gpt_bigcode": dict(n_embd=1024, n_head=16, n_layer=3, vocab_size=2048, n_positions=2048, attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0),

    "smollm3": dict(SMALL, pad_token_id=0),
    "glm4": dict(SMALL, head_dim=64, pad_token_id=0),
    "nemotron": SMALL,
}.items():
    CASES += [(kind, shape, run(2048, 4, **BF16)), (kind, shape, run(2048, 4, **BF16, recompute="full"))]

# As they are published, where the order of all allocations decides what the allocator holds.
FUSED = dict(optimizer_implementation="fused")
TIED = dict(tie_word_embeddings=True)


def wide(hidden, heads, keys, inner, words, layers, **rest):
    return dict(hidden_size=hidden, num_attention_heads=heads, num_key_value_heads=keys, intermediate_size=inner, vocab_size=words, num_hidden_layers=layers, **rest)


for kind, shape, runs in [
    ("mistral", wide(4096, 32, 8, 14336, 32768, 32, sliding_window=None), [run(2048, 2, **FUSED, **adapters(rank=32)), run(8192, **FUSED, **adapters(rank=32), recompute="full")]),
    ("gemma", wide(2048, 8, 1, 16384, 256000, 18, head_dim=256), [run(1024, 4, **FUSED, **BF16), run(4096, **FUSED, **BF16, recompute="full")]),
    ("olmo2", wide(2048, 16, 16, 8192, 100352, 16), [run(4096, **FUSED, **BF16), run(4096, 2, **FUSED, recompute="full")]),
    ("stablelm", wide(2048, 32, 32, 5632, 100352, 24), [run(2048, 2, **FUSED, **BF16), run(4096, 2, **FUSED, **BF16, recompute="full")]),
    ("granite", wide(2048, 32, 8, 8192, 49155, 40), [run(4096, **FUSED, **BF16), run(4096, 2, **FUSED, **BF16, recompute="full")]),
    ("starcoder2", wide(3072, 24, 2, 12288, 49152, 30), [run(2048, 2, **FUSED, **BF16), run(4096, 2, **FUSED, **BF16, recompute="full")]),
    ("qwen2", wide(1536, 12, 2, 8960, 151936, 28, **TIED), [run(2048, 2, **FUSED), run(4096, 4, **FUSED, **BF16, recompute="full")]),
    ("llama", wide(3072, 24, 8, 8192, 128256, 28, **TIED), [run(2048, 2, **FUSED, **BF16), run(2048, 4, **FUSED, **BF16, recompute="full"), run(1024, 2, 4, **FUSED, **BF16)]),
    ("nemotron", wide(3072, 24, 8, 9216, 256000, 16), [run(2048, **FUSED, **BF16), run(2048, 2, **FUSED, **BF16, recompute="full")]),
    ("smollm3", wide(2048, 16, 4, 11008, 128256, 36, pad_token_id=0), [run(2048, 2, **FUSED, **BF16), run(8192, **FUSED, **BF16, recompute="full")]),
]:
    CASES += [(kind, shape, one) for one in runs]


def build(kind, shape, one):
    config = AutoConfig.for_model(kind, **shape)
    layers = getattr(config, "num_hidden_layers", None)
    if getattr(config, "layer_types", None):
        config.layer_types = ["full_attention"] * layers
    config.use_cache = False
    dtype = torch.bfloat16 if one.get("weights_dtype") == "bf16" or "lora" in one else torch.float32
    attention = "sdpa" if one.get("flash_attention", True) else "eager"
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=dtype)
        model.train()
        if "lora" in one:
            import peft

            targets = one["lora"]["targets"]
            wanted = "all-linear" if targets == ["all-linear"] else targets
            model = peft.get_peft_model(model, peft.LoraConfig(r=one["lora"]["rank"], target_modules=wanted, task_type="CAUSAL_LM"))
    if one.get("recompute") == "full":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if "lora" in one:
            model.enable_input_require_grads()
    return model


def materialise(model):
    """Fake tensors on the CPU in place of those on the meta device; tied ones stay tied."""
    made = {}
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, tensor in tensors.items():
                if tensor is None or tensor.device.type != "meta":
                    continue
                if id(tensor) not in made:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype)
                    made[id(tensor)] = torch.nn.Parameter(fake, tensor.requires_grad) if isinstance(tensor, torch.nn.Parameter) else fake
                tensors[name] = made[id(tensor)]
    return model


def step(kind, shape, one):
    model = build(kind, shape, one)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = materialise(model)
        trained = [p for p in model.parameters() if p.requires_grad]
        how = one["optimizer_implementation"]
        optimizer = torch.optim.AdamW(trained, lr=1e-4, **{how: True})
        tracker = Tracker()
        tracker.workspace = 32 * 2**20  # of cuBLAS on Hopper and Blackwell
        for tensor in [*model.parameters(), *model.buffers()]:
            tracker.track(tensor)
        batch, length = one["micro_batch_size"], one["sequence_length"]
        autocast = one["precision"] == "bf16"
        with tracker:
            for number in ("first", "second"):
                for _ in range(one["global_batch_size"] // batch):
                    tracker.phase, tracker.thread = f"{number} forward", "forward"
                    ids = torch.zeros((batch, length), dtype=torch.long)
                    with cuda_autocast.autocast() if autocast else contextlib.nullcontext():
                        made = model(input_ids=ids, labels=ids)
                    loss = made.loss
                    if autocast:
                        made.logits = made.logits.float()  # what leaves a model is made fp32 (accelerate, convert_outputs_to_fp32)
                    del made
                    tracker.phase, tracker.thread = f"{number} backward", "backward"
                    loss.backward()
                    del loss
                tracker.phase = f"{number} optimizer"
                torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)
                optimizer.step()
                optimizer.zero_grad()
        return tracker


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    wanted = [case for case in CASES if not arguments or case[0] == arguments[0]]
    if len(arguments) > 1:
        wanted = [wanted[int(arguments[1])]]
    rows = []
    for kind, shape, one in wanted:
        try:
            tracker = step(kind, shape, one)
        except Exception as error:
            print(kind, one, "failed:", repr(error)[:300], file=sys.stderr)
            continue
        peaks = {phase: tracker.peaks[f"second {phase}"] for phase in ("forward", "backward", "optimizer")}
        run = {"framework": "transformers", "gpus": 1, "sharding": "none", **one}
        rows.append(dict(config={"model_type": kind, **shape}, run=run, peaks=peaks, reserved=reserved(tracker.events, False)))
        print(kind, one, {name: round(size / 2**20, 1) for name, size in peaks.items()}, file=sys.stderr)
        if "-v" in sys.argv:
            print(tracker.describe("second forward"), tracker.describe("second backward"), tracker.describe("second optimizer"), sep="\n", file=sys.stderr)
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
