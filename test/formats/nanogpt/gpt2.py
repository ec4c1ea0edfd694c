# GPT-2's smallest size from scratch, on eight GPUs: torchrun --nproc_per_node=8 train.py config/gpt2.py
import time

dataset = 'openwebtext'
wandb_run_name = 'gpt2-' + str(time.time())

tokens_per_micro_batch = 16 * 1024
batch_size = tokens_per_micro_batch // 1024
block_size = 1024
gradient_accumulation_steps = 4 * 8

max_iters = 300_000
lr_decay_iters = max_iters
learning_rate = 6e-4
weight_decay = 1e-1
