#!/bin/bash
#SBATCH --nodes=2
MODEL=meta-llama/Llama-3.1-8B
BATCH=4

deepspeed --num_gpus 8 train.py \
    --deepspeed ./scripts/zero3.json \
    --model_name_or_path $MODEL \
    --bf16 True \
    --output_dir ./out \
    --per_device_train_batch_size $((BATCH * 2)) \
    --gradient_accumulation_steps 2 \
    --model_max_length 2048 \
    --gradient_checkpointing True \
    --learning_rate ${LR}
