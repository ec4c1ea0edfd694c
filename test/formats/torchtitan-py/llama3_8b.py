# One job: Llama 3 of 8 B parameters in 8 bits, on 64 GPUs.
from torchtitan.models.llama3 import model_registry
from torchtitan.trainer import Trainer


def llama3_8b_float8() -> Trainer.Config:
    config = Trainer.Config(
        loss=ChunkedCELoss.Config(num_chunks=4),
        model_spec=model_registry("8B", attn_backend="flex"),
        model_converters=ModelConvertersContainer.Config(
            converters=[Float8LinearConverter.Config(enable_fsdp_float8_all_gather=True)],
        ),
        training=TrainingConfig(local_batch_size=4, seq_len=8192, steps=1000),
        parallelism=ParallelismConfig(
            data_parallel_shard_degree=16,
            pipeline_parallel_degree=4,
            pipeline_parallel_schedule="Interleaved1F1B",
        ),
        compile=CompileConfig(enable=True, components=["model", "loss"]),
    )
    config.training.global_batch_size = config.training.local_batch_size * 16
    return config
