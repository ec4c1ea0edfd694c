CUDA_VISIBLE_DEVICES=0,1 \
NPROC_PER_NODE=2 \
swift sft \
    --model Qwen/Qwen2.5-7B-Instruct \
    --dataset some/data \
    --max_length 2048 \
    --learning_rate 1e-4 \
    --deepspeed zero2
CUDA_VISIBLE_DEVICES=0 swift infer --model output/checkpoint --stream true
