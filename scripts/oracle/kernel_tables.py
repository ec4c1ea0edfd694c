"""Samples kernel times that ai-dynamo/aiconfigurator (Apache-2.0) publishes: matrix products in 16 bits and NCCL's collectives.

    python scripts/oracle/kernel_tables.py CHECKOUT > test/oracle/kernels.json

CHECKOUT is a clone at 095f58a. Needs pyarrow. A product [m, k] x [k, n] has the shorter of its times under vLLM and TensorRT-LLM, in
microseconds; a collective over so many GPUs has its gathered size in bytes, of which the table states 16-bit elements.
"""

import json
import sys
from itertools import product
from pathlib import Path
from statistics import median

import pyarrow.parquet as parquet

PRODUCTS = {
    "a100-sxm-80gb": ("a100_sxm", ["vllm/0.14.0", "trtllm/1.0.0"]),
    "h100-sxm-80gb": ("h100_sxm", ["vllm/0.14.0", "trtllm/1.2.0rc5"]),
    "h200-sxm-141gb": ("h200_sxm", ["vllm/0.14.0", "trtllm/1.2.0rc5"]),
    "b200-sxm": ("b200_sxm", ["vllm/0.19.0", "trtllm/1.3.0rc10"]),
    "b300-sxm": ("b300_sxm", ["vllm/0.19.0", "trtllm/1.3.0rc10"]),
    "gb200-nvl72": ("gb200", ["vllm/0.14.0", "trtllm/1.3.0rc10"]),
    "gb300-nvl72": ("gb300", ["vllm/0.14.0", "trtllm/1.3.0rc10"]),
    "rtx-pro-6000": ("rtx_pro_6000_server", ["vllm/0.19.0", "trtllm/1.3.0rc10"]),
}
SHAPES = set(product([16, 128, 512, 2048, 8192], [256, 1024, 4096, 12288], [256, 1024, 4096, 12288]))
COLLECTIVES = {"a100-sxm-80gb": "a100_sxm", "h100-sxm-80gb": "h100_sxm", "b200-sxm": "b200_sxm"}
NCCL = "2.27.3"
KINDS = {"all_gather": "gather", "reduce_scatter": "scatter", "all_reduce": "reduce", "alltoall": "exchange"}
ELEMENTS = [2**power for power in (14, 18, 20, 22, 24, 26, 27, 28)]

data = Path(sys.argv[1]) / "aic-core/src/aiconfigurator_core/systems/data"


def table(path):
    return parquet.read_table(data / path).to_pylist()


def grouped(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(round(1000 * row["latency"], 2))
    return sorted(groups.items())


def products(folder, versions):
    rows = [row for version in versions for row in table(f"{folder}/gemm/{version}/gemm_perf.parquet")]
    shapes = lambda row: (row["m"], row["n"], row["k"])
    chosen = [row for row in rows if row["gemm_dtype"] == "bfloat16" and shapes(row) in SHAPES]
    return [[*shape, min(times)] for shape, times in grouped(chosen, shapes)]


def collectives(folder):
    rows = table(f"{folder}/comm/nccl/{NCCL}/nccl_perf.parquet")
    chosen = [row for row in rows if row["nccl_dtype"] == "half" and row["message_size"] in ELEMENTS]
    found = grouped(chosen, lambda row: (KINDS[row["op_name"]], row["num_gpus"], 2 * row["message_size"]))
    return [[*what, round(median(times), 2)] for what, times in found]


def line(chip, rows):
    return f"  {json.dumps(chip)}: {json.dumps(rows)}"


def block(name, chips):
    return f"{json.dumps(name)}: {{\n" + ",\n".join(line(*chip) for chip in chips) + "\n}"


print("{")
print(block("products", [(chip, products(*where)) for chip, where in PRODUCTS.items()]) + ",")
print(block("collectives", [(chip, collectives(folder)) for chip, folder in COLLECTIVES.items()]))
print("}")
