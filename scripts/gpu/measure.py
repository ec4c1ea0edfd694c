"""Measures real training steps on one GPU: peaks of memory as PyTorch and the driver see them, and the time of a step.

    python scripts/gpu/measure.py test/oracle/gpu.jsonl OUT.jsonl --accelerator h100-sxm-80gb [--only WORDS]

Cases are the rows of a file of measured steps: their config and run are run again here, and written with what this GPU shows. A process of its own for each, so that
`reserved` and `device` are those of a fresh one. Needs torch, transformers, accelerate and peft. The first two steps warm up; time is the median of the others.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time

STEPS, WARM = 6, 2


def model_of(row):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    fields = dict(row["config"])
    masked = "MaskedLM" in (fields.get("architectures") or [""])[0]
    config = AutoConfig.for_model(fields.pop("model_type"), **{k: v for k, v in fields.items() if k not in ("torch_dtype", "dtype")})
    config.use_cache = False
    attention = "sdpa" if row["run"].get("flash_attention", True) else "eager"
    dtype = torch.float32 if row["run"]["weights_dtype"] == "fp32" else torch.bfloat16
    with torch.device("cuda"):
        model = (AutoModelForMaskedLM if masked else AutoModelForCausalLM).from_config(config, dtype=dtype, attn_implementation=attention)
    return model.to("cuda"), config


def in_trainer(row, clock):
    import torch
    from transformers import Trainer, TrainerCallback, TrainingArguments

    run = row["run"]
    model, config = model_of(row)
    if "lora" in run:
        import peft

        model = peft.get_peft_model(model, peft.LoraConfig(r=run["lora"]["rank"], target_modules=run["lora"]["targets"], lora_dropout=0.0, task_type="CAUSAL_LM"))
        if run["recompute"] == "full":
            model.enable_input_require_grads()

    class Ticks(TrainerCallback):
        def on_step_begin(self, *_, **__):
            clock.start()

        def on_step_end(self, *_, **__):
            clock.stop()

    accumulate = run["global_batch_size"] // run["micro_batch_size"]
    words = min(config.vocab_size, 30000)
    rows = [{"input_ids": ids, "labels": ids.clone()} for ids in (torch.randint(0, words, (run["sequence_length"],)) for _ in range(STEPS * run["global_batch_size"]))]
    optimizer = {"adafactor": "adafactor", "sgd": "sgd"}.get(run["optimizer"])
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=run["micro_batch_size"],
        gradient_accumulation_steps=accumulate,
        max_steps=STEPS,
        bf16=row.get("autocast", True),
        gradient_checkpointing=run["recompute"] == "full",
        gradient_checkpointing_kwargs={"use_reentrant": False},
        optim=optimizer or ("adamw_torch" if run.get("optimizer_implementation") == "foreach" else "adamw_torch_fused"),
        torch_compile=run.get("compile", False),
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Ticks()]).train()
    return model


def under_fsdp(row, clock):
    import torch
    import torch.distributed as dist
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from torch.nn.functional import cross_entropy

    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(20000 + os.getpid() % 20000), RANK="0", WORLD_SIZE="1")
    dist.init_process_group("nccl")
    run = row["run"]
    model, config = model_of(row)
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    loss_of = lambda logits, labels: cross_entropy(logits.flatten(0, 1).float(), labels.flatten(0, 1))
    layers = model.model.layers
    for index, layer in enumerate(layers):
        if run["recompute"] == "full":
            layers[index] = checkpoint_wrapper(layer)
        if run.get("compile"):
            layers[index].compile()
        fully_shard(layers[index], mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    if run.get("compile"):
        loss_of = torch.compile(loss_of)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    for _ in range(STEPS):
        ids = torch.randint(0, min(config.vocab_size, 30000), (run["micro_batch_size"], run["sequence_length"]), device="cuda")
        clock.start()
        logits = model(input_ids=ids, use_cache=False).logits
        loss = loss_of(logits, ids)
        del logits
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad()
        clock.stop()
    return model


class Clock:
    def __init__(self):
        self.began, self.seconds = 0.0, []

    def start(self):
        self.began = now()

    def stop(self):
        self.seconds.append(now() - self.began)


def now():
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def measure(row, accelerator, queue):
    import torch
    import transformers

    try:
        torch.cuda.init()
        clock = Clock()
        model = (under_fsdp if row["run"]["framework"] == "fsdp" else in_trainer)(row, clock)
        free, total = torch.cuda.mem_get_info()
        counts = [(p.numel(), p.requires_grad) for p in model.parameters()]
        measured = {
            "parameters": sum(size for size, _ in counts),
            "trainable": sum(size for size, trained in counts if trained),
            "allocated": torch.cuda.max_memory_allocated(),
            "reserved": torch.cuda.max_memory_reserved(),
            "device": total - free,
            "step_seconds": statistics.median(clock.seconds[WARM:]),
        }
        software = {"torch": torch.__version__, "transformers": transformers.__version__, "gpu": torch.cuda.get_device_name()}
        queue.put({**row, "run": {**row["run"], "accelerator": accelerator}, "measured": measured, "software": software})
    except Exception as error:  # out of memory on a smaller chip, say: the other cases go on
        queue.put(repr(error)[:300])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("cases")
    parser.add_argument("out")
    parser.add_argument("--accelerator", required=True)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    with open(arguments.cases) as file, open(arguments.out, "a") as out:
        for row in map(json.loads, file):
            if "run" not in row or arguments.only not in row["name"]:
                continue
            queue = fresh.Queue()
            process = fresh.Process(target=measure, args=(row, arguments.accelerator, queue))
            process.start()
            found = queue.get(timeout=300)
            process.join()
            if isinstance(found, str):
                print(row["name"], "failed:", found)
                continue
            out.write(json.dumps(found) + "\n")
            out.flush()
            print(row["name"], {name: round(value / 2**30, 2) for name, value in found["measured"].items() if name in ("allocated", "reserved", "device")}, found["measured"]["step_seconds"])
