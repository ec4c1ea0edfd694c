read -r -d '' training_commands <<EOT
openrlhf.cli.train_sft \
   --pretrain mistralai/Mistral-7B-v0.1 --max_len 2048 --train_batch_size 256 --micro_train_batch_size 2 \
   --zero_stage 2 --bf16 --flash_attn --gradient_checkpointing
EOT
deepspeed --num_gpus 4 --module $training_commands
