"""Peaks of one training step under FSDP2 (torch.distributed.fsdp.fully_shard), as PyTorch allocates on one of n ranks.

    python scripts/oracle/fsdp.py > test/oracle/fsdp.json
    python scripts/oracle/fsdp.py -v 3              the fourth case, with what is alive at each peak

Needs torch 2.13.0. A Llama-like model is wrapped the way torchtitan does it, with and without its tensor parallelism (sequence-parallel norms, vocabulary-parallel
loss): one group for the table, one for each layer, one for norm and output that is not freed
after the forward pass; bf16 parameters, fp32 reduction, fused AdamW. The other ranks are a fake process group. RMSNorm stands in for CUDA's own kernel, which keeps
its input and one number for each row.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, PrepareModuleInput, RowwiseParallel, SequenceParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

import torch.distributed.fsdp._fully_shard._fsdp_collectives as collectives

from allocator import reserved
from tracker import Tracker

aten = torch.ops.aten
BIG = dict(hidden_size=4096, num_attention_heads=32, num_key_value_heads=8, intermediate_size=14336, vocab_size=32000, num_hidden_layers=6, tie_word_embeddings=False)
WIDE = dict(BIG, vocab_size=128256, num_hidden_layers=4)
HUGE = dict(hidden_size=8192, num_attention_heads=64, num_key_value_heads=8, intermediate_size=28672, vocab_size=128256, num_hidden_layers=3, tie_word_embeddings=False)


def run(sequence, batch=1, gpus=8, micro=1, tensor=1, **rest):
    return dict(sequence_length=sequence, micro_batch_size=batch, global_batch_size=batch * micro * gpus // tensor, gpus=gpus, parallelism=dict(tensor=tensor), **rest)


CASES = [(shape, run(*arguments, recompute=recompute)) for shape, *arguments in [(BIG, 4096), (BIG, 2048, 4), (WIDE, 8192), (HUGE, 2048, 1, 64), (HUGE, 8192, 1, 256)] for recompute in ("none", "selective", "full")]
WHOLE = dict(WIDE, num_hidden_layers=32)
DEEP = dict(HUGE, num_hidden_layers=20)
CASES += [(BIG, run(4096, 2, micro=2, recompute="full")), (BIG, run(4096, 1, recompute="full", reshard_after_forward=False)), (WIDE, run(4096, 2, recompute="selective", reshard_after_forward=False))]
CASES += [(HUGE, run(sequence, batch, 64, tensor=8, recompute=recompute)) for sequence, batch in ((8192, 2), (2048, 1)) for recompute in ("none", "selective", "full")]
CASES += [(WHOLE, run(2048, recompute="none")), (WHOLE, run(8192, recompute="selective")), (WHOLE, run(8192, recompute="full"))]
CASES += [(DEEP, run(8192, 4, 64, tensor=8, recompute="full")), (DEEP, run(8192, 2, 64, tensor=8, recompute="selective"))]


class OneKernel(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight):
        context.save_for_backward(x, weight, x.new_empty((*x.shape[:-1], 1), dtype=torch.float32))
        return torch.empty_like(x)

    @staticmethod
    def backward(context, gradient):
        x, weight, _ = context.saved_tensors
        return torch.empty_like(x), torch.empty_like(weight)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))

    def forward(self, x):
        if not isinstance(x, DTensor):
            return OneKernel.apply(x, self.weight)
        own = OneKernel.apply(x.to_local(), self.weight.to_local())  # each rank its own rows
        return DTensor.from_local(own, x.device_mesh, x.placements, run_check=False)


class VocabularyLoss(torch.autograd.Function):
    """What torchtitan's vocabulary-parallel cross-entropy allocates (components/loss.py), without its collectives."""

    @staticmethod
    def forward(context, logits, labels):
        context.dtype = logits.dtype
        logits = logits.float()
        shifted = logits - torch.amax(logits, -1, keepdim=True)
        log_probabilities = shifted - torch.log(torch.sum(torch.exp(shifted), -1, keepdim=True))
        context.save_for_backward(log_probabilities, labels)
        return torch.gather(log_probabilities, -1, labels.unsqueeze(-1)).sum()

    @staticmethod
    def backward(context, gradient):
        log_probabilities, labels = context.saved_tensors
        one_hot = torch.zeros_like(log_probabilities)
        gradient = torch.where(labels.unsqueeze(-1) >= 0, gradient, 0)
        return ((one_hot + torch.exp(log_probabilities)) * gradient).to(context.dtype), None


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return (x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin).type_as(x)


class Attention(nn.Module):
    def __init__(self, D, H, K):
        super().__init__()
        self.d = D // H
        self.q, self.k, self.v, self.o = (nn.Linear(a, b, bias=False) for a, b in ((D, D), (D, K * self.d), (D, K * self.d), (D, D)))

    def forward(self, x, cos, sin):
        q, k, v = (m(x).view(*x.shape[:2], -1, self.d) for m in (self.q, self.k, self.v))
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        out = F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), is_causal=True, enable_gqa=True)
        return self.o(out.transpose(1, 2).contiguous().view(*x.shape[:2], -1))


class Layer(nn.Module):
    def __init__(self, D, H, K, M):
        super().__init__()
        self.attention, self.first, self.second = Attention(D, H, K), Norm(D), Norm(D)
        self.gather = nn.Identity()
        self.gate, self.up, self.down = (nn.Linear(a, b, bias=False) for a, b in ((D, M), (D, M), (M, D)))

    def forward(self, x, cos, sin):
        h = x + self.attention(self.first(x), cos, sin)
        y = self.gather(self.second(h))
        return h + self.down(F.silu(self.gate(y)) * self.up(y))


class Model(nn.Module):
    def __init__(self, shape, length):
        super().__init__()
        D, H, V = shape["hidden_size"], shape["num_attention_heads"], shape["vocab_size"]
        self.table = nn.Embedding(V, D)
        self.layers = nn.ModuleList(Layer(D, H, shape["num_key_value_heads"], shape["intermediate_size"]) for _ in range(shape["num_hidden_layers"]))
        self.norm, self.output = Norm(D), nn.Linear(D, V, bias=False)
        self.cos, self.sin = (torch.empty(1, length, 1, D // H) for _ in range(2))

    def forward(self, ids):
        x = self.table(ids)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return self.output(self.norm(x))


def every_second_product():
    products = {False: 0, True: 0}
    kept = {torch.ops._c10d_functional.reduce_scatter_tensor.default, aten._scaled_dot_product_flash_attention_for_cpu.default, aten._scaled_dot_product_flash_attention.default}

    def policy(context, function, *args, **kwargs):
        if function == aten.mm.default:
            products[context.is_recompute] += 1
            return CheckpointPolicy.MUST_SAVE if products[context.is_recompute] % 2 else CheckpointPolicy.PREFER_RECOMPUTE
        return CheckpointPolicy.MUST_SAVE if function in kept else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


def tensor_parallel(model, mesh):
    """The table is divided by columns, not by rows as torchtitan's: as large, and fake tensors cannot mask rows."""
    whole = dict(desired_input_layouts=(Replicate(), None, None))
    plan = {
        "table": ColwiseParallel(input_layouts=Replicate(), output_layouts=Shard(1)),
        "norm": SequenceParallel(),
        "output": ColwiseParallel(input_layouts=Shard(1), output_layouts=Shard(-1), use_local_output=True),
    }
    for index in range(len(model.layers)):
        layer = {
            "first": SequenceParallel(),
            "attention": PrepareModuleInput(input_layouts=(Shard(1), None, None), **whole),
            "second": SequenceParallel(),
            "gather": PrepareModuleInput(input_layouts=(Shard(1),), desired_input_layouts=(Replicate(),)),
            **{name: ColwiseParallel() for name in ("attention.q", "attention.k", "attention.v", "gate", "up")},
            **{name: RowwiseParallel(output_layouts=Shard(1)) for name in ("attention.o", "down")},
        }
        plan |= {f"layers.{index}.{name}": style for name, style in layer.items()}
    parallelize_module(model, mesh, plan)


def wrap(model, one, mesh):
    if one["parallelism"]["tensor"] > 1:
        tensor_parallel(model, mesh["tensor"])
    mesh = mesh["data"]
    for index, layer in enumerate(model.layers):
        if one["recompute"] == "full":
            model.layers[index] = checkpoint_wrapper(layer, preserve_rng_state=False)
        if one["recompute"] == "selective":
            model.layers[index] = checkpoint_wrapper(layer, context_fn=every_second_product, preserve_rng_state=False)
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)
    shard = lambda modules, reshard: fully_shard(modules, mesh=mesh, mp_policy=policy, reshard_after_forward=reshard)
    again = one.get("reshard_after_forward", True)
    shard(model.table, again)
    shard([model.norm, model.output], False)
    for layer in model.layers:
        shard(layer, again)
    fully_shard(model, mesh=mesh, mp_policy=policy)


TRACKER = None


def on_streams():
    """FSDP2 gathers and reduces on streams of their own, which the CPU does not have: told to the tracker here."""
    gather, reduce = collectives.DefaultAllGather.allocate, collectives.DefaultReduceScatter.allocate
    calls = []

    def gathered(*arguments, **rest):
        TRACKER.stream = "gather"
        result = gather(*arguments, **rest)
        TRACKER.stream = "compute"
        return result

    def reduced(*arguments, **rest):
        calls.append(1)  # the input is made on the compute stream, then the output on the other
        TRACKER.stream = "compute" if len(calls) % 2 else "reduce"
        result = reduce(*arguments, **rest)
        TRACKER.stream = "compute"
        return result

    collectives.DefaultAllGather.allocate, collectives.DefaultReduceScatter.allocate = gathered, reduced


def step(shape, one, mesh):
    global TRACKER
    batch, length = one["micro_batch_size"], one["sequence_length"]
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = Model(shape, length)
        wrap(model, one, mesh)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        tracker = TRACKER = Tracker()
        for parameter in model.parameters():
            tracker.track(parameter.to_local())
        with tracker:
            for number in ("first", "second"):
                for _ in range(one["global_batch_size"] * one["parallelism"]["tensor"] // batch // one["gpus"]):
                    tracker.phase = f"{number} forward"
                    ids = torch.zeros((batch, length), dtype=torch.long)
                    logits = model(ids)
                    if one["parallelism"]["tensor"] > 1:
                        loss = VocabularyLoss.apply(logits.flatten(0, 1), ids.flatten(0, 1))
                    else:
                        loss = F.cross_entropy(logits.flatten(0, 1).float(), ids.flatten(0, 1), reduction="sum")
                    del logits
                    tracker.phase = f"{number} backward"
                    loss.backward()
                    del loss
                tracker.phase = f"{number} optimizer"
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
                optimizer.step()
                optimizer.zero_grad()
        return tracker


def concatenated(meshes, join=DeviceMesh._concatenate):
    """A mesh looks for its own rank, which fake tensors cannot."""
    with unset_fake_temporarily():
        return join(meshes)


DeviceMesh._concatenate = staticmethod(concatenated)

if __name__ == "__main__":
    chosen = [int(a) for a in sys.argv[1:] if a.isdigit()]
    rows, world = [], None
    on_streams()
    for index, (shape, one) in enumerate(CASES):
        if chosen and index not in chosen:
            continue
        tensor = one["parallelism"]["tensor"]
        if world != (one["gpus"], tensor):
            if world is not None:
                dist.destroy_process_group()
            world = (one["gpus"], tensor)
            dist.init_process_group("fake", rank=0, world_size=one["gpus"], store=FakeStore())
            mesh = init_device_mesh("cpu", (one["gpus"] // tensor, tensor), mesh_dim_names=("data", "tensor"))
        if shape in (WHOLE, DEEP):
            step(shape, one, mesh)  # once before: the first time, PyTorch looks at whole tensors to learn how they are sharded
        tracker = step(shape, one, mesh)
        peaks = {phase: tracker.peaks[f"second {phase}"] for phase in ("forward", "backward", "optimizer")}
        row = dict(config={"model_type": "llama", **shape}, run={"framework": "fsdp", "sharding": "full", "precision": "bf16", **one}, peaks=peaks)
        if shape in (WHOLE, DEEP):
            row["reserved"] = {"expandable": reserved(tracker.events, True), "fixed": reserved(tracker.events, False)}
        rows.append(row)
        print(index, one, {name: round(size / 2**20, 1) for name, size in peaks.items()}, file=sys.stderr)
        if "-v" in sys.argv:
            print(tracker.describe("second forward"), tracker.describe("second backward"), tracker.describe("second optimizer"), sep="\n", file=sys.stderr)
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
