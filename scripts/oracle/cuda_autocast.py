"""What CUDA's autocast computes in fp32 and the CPU's does not: LayerNorm and powers. Its attention kernels: none for fp32 whose heads share keys.

    with autocast(): model(...)        16-bit products, as the Trainer's `bf16: true` runs them, over weights of any dtype
"""

import contextlib

import torch
import torch.nn.functional as F

norm, power, tensor_power, attention = F.layer_norm, torch.pow, torch.Tensor.pow, F.scaled_dot_product_attention
on = lambda: torch.is_autocast_enabled("cpu")
wide = lambda one: one.float() if on() and isinstance(one, torch.Tensor) else one


def layer_norm(x, shape, weight=None, bias=None, eps=1e-5):
    return norm(wide(x), shape, wide(weight), wide(bias), eps)


def attend(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    if on():
        query, key, value = (one.to(torch.bfloat16) for one in (query, key, value))
    if query.dtype is not torch.float32 or query.shape[1] == key.shape[1]:
        return attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa)


def install():
    F.layer_norm, F.scaled_dot_product_attention = layer_norm, attend
    torch.pow = lambda x, exponent: power(wide(x), exponent)
    torch.Tensor.pow = torch.Tensor.__pow__ = lambda x, exponent: tensor_power(wide(x), exponent)


@contextlib.contextmanager
def autocast():
    with torch.autocast("cpu", torch.bfloat16):
        yield
