#!/bin/bash
MODEL=${MODEL:-Qwen/Qwen2.5-7B}
GPUS=4
ARGS="--per_device_train_batch_size 2 --gradient_accumulation_steps 8 --max_length 4096"

accelerate launch --num_processes $GPUS trl/scripts/sft.py \
  --model_name_or_path "$MODEL" \
  $ARGS --packing --bf16 True --gradient_checkpointing False \
  --fsdp "full_shard auto_wrap" --attn_implementation flash_attention_2 --optim adamw_torch --num_train_epochs 1
