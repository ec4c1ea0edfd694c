# Llama 3.1 of 70 B parameters on 64 H100, in 8 bits; what is common stands in a function of its own.
from megatron.bridge import AutoBridge
from megatron.bridge.recipes.common import _pretrain_common
from megatron.bridge.training.config import ConfigContainer

CONTEXT: int = 8 * 1024


def _base(cfg, tensor=4) -> None:
    cfg.model.tensor_model_parallel_size = tensor
    cfg.model.sequence_parallel = tensor > 1
    cfg.model.seq_length = CONTEXT
    cfg.dataset.seq_length = CONTEXT


def llama31_70b_pretrain_64gpu_h100_fp8cs_config() -> ConfigContainer:
    """The recipe's name says what it runs on."""
    cfg = _pretrain_common()
    cfg.model = AutoBridge.from_hf_pretrained("meta-llama/Llama-3.1-70B").to_megatron_provider(load_weights=False)
    _base(cfg)
    cfg.model.pipeline_model_parallel_size = 4
    cfg.model.virtual_pipeline_model_parallel_size = 5
    cfg.model.context_parallel_size = 2
    cfg.model.recompute_granularity = "selective"
    cfg.train.global_batch_size = 256
    cfg.train.micro_batch_size = 1
    cfg.train.train_iters = 1000
    cfg.ddp.use_distributed_optimizer = True
    return cfg
