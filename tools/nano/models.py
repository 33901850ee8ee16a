"""What Nano is made of, at the sizes that fit 16 MB in bfloat16: fresh networks, and the folder they are kept in."""
import copy
import json
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from text import write_json

T5_LENGTH = 16  # the longest caption of the grammar has 15 ids
T5_WIDTH, CLIP_WIDTH = 128, 96


def clip_tokenizer(folder: Path):
    return CLIPTokenizer.from_pretrained(folder / "tokenizer")


def t5_tokenizer(folder: Path):
    return T5TokenizerFast.from_pretrained(folder / "tokenizer_2")


def encoders(folder: Path):
    # eos_token_id 2, as published: transformers then pools at the largest id, which is the first end-of-text
    clip = CLIPTextModel(CLIPTextConfig(
        vocab_size=len(clip_tokenizer(folder)), hidden_size=CLIP_WIDTH, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=CLIP_WIDTH, bos_token_id=0, eos_token_id=2, pad_token_id=1))
    t5 = T5EncoderModel(T5Config(
        vocab_size=len(t5_tokenizer(folder)), d_model=T5_WIDTH, d_kv=32, d_ff=320, num_layers=3, num_heads=4, feed_forward_proj="gated-gelu",
        dropout_rate=0.0))
    return clip, t5


def transformer():
    net = FluxTransformer2DModel(
        in_channels=64, num_layers=2, num_single_layers=4, attention_head_dim=32, num_attention_heads=6, joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=CLIP_WIDTH, guidance_embeds=True, axes_dims_rope=(8, 12, 12))
    # Every block starts as the identity and the prediction as zero (as DiT does): the first steps then learn instead of unlearning.
    for block in net.transformer_blocks: zero(block.norm1.linear, block.norm1_context.linear)
    for block in net.single_transformer_blocks: zero(block.norm.linear)
    zero(net.norm_out.linear, net.proj_out)
    return net


def load(folder: Path):
    """What save wrote, in float32 again."""
    return (CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32), T5EncoderModel.from_pretrained(folder / "text_encoder_2", dtype=torch.float32),
            FluxTransformer2DModel.from_pretrained(folder / "transformer", torch_dtype=torch.float32))


def zero(*layers):
    for layer in layers:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)


def forget_origin(component: Path):
    """diffusers notes in config.json which folder the weights were loaded from: nobody else's business."""
    file = component / "config.json"
    config = json.loads(file.read_text())
    config.pop("_name_or_path", None)
    write_json(file, config)


def save(folder: Path, clip, t5, net):
    """Weights in bfloat16, each component where FLUX.1 keeps it; the VAE and the tokenizers' files are already there."""
    half = lambda model: copy.deepcopy(model).to(torch.bfloat16)
    for name, model in (("text_encoder", clip), ("text_encoder_2", t5), ("transformer", net)): half(model).save_pretrained(folder / name)
    forget_origin(folder / "transformer")
    FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0).save_pretrained(folder / "scheduler")
    write_json(folder / "model_index.json", {
        "_class_name": "FluxPipeline", "_diffusers_version": "0.30.0",
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5TokenizerFast"], "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"]})
