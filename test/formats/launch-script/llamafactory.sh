export CUDA_VISIBLE_DEVICES=0,1,2,3
FORCE_TORCHRUN=1 llamafactory-cli train train/qwen3_full.yaml
