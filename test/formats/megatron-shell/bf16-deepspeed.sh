MICRO=2
ZERO=0
config_json="./ds_config.$SLURM_JOB_ID.json"
cat <<EOT > $config_json
{ "train_micro_batch_size_per_gpu": $MICRO, "bf16": { "enabled": true }, "zero_optimization": { "stage": $ZERO } }
EOT
export CMD="pretrain_gpt.py \
    --num-layers 70 --hidden-size 14336 --num-attention-heads 112 --seq-length 2048 --max-position-embeddings 2048 \
    --micro-batch-size $MICRO --rampup-batch-size 192 16 9_765_625 --global-batch-size 2048 --bf16 \
    --position-embedding-type alibi --embed-layernorm --pad-vocab-size-to 250880 --checkpoint-activations \
    --pp-partition-method 'type:transformer|embedding' \
    --tensor-model-parallel-size 4 --pipeline-model-parallel-size 12 \
    --deepspeed --deepspeed_config $config_json"
deepspeed --num_nodes 48 --num_gpus 8 $CMD
