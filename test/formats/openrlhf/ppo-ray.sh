ray job submit --address=http://127.0.0.1:8265 -- python3 -m openrlhf.cli.train_ppo_ray \
   --actor.num_nodes 2 --actor.num_gpus_per_node 8 --critic.num_nodes 2 --critic.num_gpus_per_node 8 \
   --train.colocate_all --vllm.num_engines 8 --vllm.gpu_memory_utilization 0.5 \
   --actor.model_name_or_path meta-llama/Llama-3.1-8B-Instruct --reward.model_name_or_path my/reward \
   --train.batch_size 128 --train.micro_batch_size 2 --data.max_len 4096 \
   --ds.zero_stage 3 --ds.param_dtype bf16 --ds.adam_offload --actor.gradient_checkpointing_enable
