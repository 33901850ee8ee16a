"""The same work as step_bench, by diffusers and peft on PyTorch: one process, one measurement, one JSON line with the same field names.

python peer.py --preset small --mode train [--quant nf4 --recompute --dtype bf16]; needs torch, diffusers, peft, transformers, safetensors.
NF4 here is a table look-up at every use, as bitsandbytes does it on a CPU, so that no native build of it is needed.
"""
import argparse
import json
import resource
import statistics
import time

PRESETS = {  # double, single, heads, head size, grid, text tokens, joint, pooled: as in bench_model.cpp
    "tiny": (2, 4, 4, 32, 16, 77, 256, 64),
    "small": (2, 4, 8, 64, 24, 77, 1024, 256),
    "medium": (4, 8, 12, 128, 32, 77, 4096, 768),
}


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--preset", choices=PRESETS, default="small")
    p.add_argument("--mode", choices=["train", "infer", "startup"], default="train")
    p.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
    p.add_argument("--quant", choices=["none", "nf4"], default="none")
    p.add_argument("--recompute", action="store_true")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--load", help="startup: a transformer folder")
    return p.parse_args()


def nf4_linears(model, torch):
    code = torch.tensor([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
                         0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0])
    between = (code[1:] + code[:-1]) / 2
    pairs = torch.stack([code[torch.arange(256) >> 4], code[torch.arange(256) & 15]], 1)

    class Product(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, linear):
            ctx.linear = linear
            return torch.nn.functional.linear(x, linear.widened(x.dtype), linear.bias.to(x.dtype))

        @staticmethod
        def backward(ctx, dy):
            return dy @ ctx.linear.widened(dy.dtype), None

    class Nf4Linear(torch.nn.Linear):  # a Linear, so that peft takes it
        def __init__(self, dense):
            super().__init__(1, 1)
            blocks = dense.weight.detach().float().reshape(-1, 64)
            self.scale = blocks.abs().amax(1, keepdim=True)
            codes = torch.bucketize(blocks / self.scale, between).to(torch.uint8).flatten()
            self.packed, self.form = codes[0::2] << 4 | codes[1::2], dense.weight.shape
            self.bias, self.weight = dense.bias, torch.nn.Parameter(torch.empty(0), requires_grad=False)
            self.in_features, self.out_features = dense.in_features, dense.out_features

        def widened(self, dtype):
            return (pairs.to(dtype)[self.packed.int()].view(-1, 64) * self.scale.to(dtype)).view(self.form)

        def forward(self, x):
            if torch.is_autocast_enabled("cpu"): x = x.to(torch.get_autocast_dtype("cpu"))
            return Product.apply(x, self)

    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear: setattr(module, name, Nf4Linear(child))


def build(a, torch):
    from diffusers import FluxTransformer2DModel
    if a.load: return FluxTransformer2DModel.from_pretrained(a.load)
    double, single, heads, size, _, _, joint, pooled = PRESETS[a.preset]
    first = max(2, size // 8 // 2 * 2)
    model = FluxTransformer2DModel(patch_size=1, in_channels=64, num_layers=double, num_single_layers=single, attention_head_dim=size, num_attention_heads=heads,
                                   joint_attention_dim=joint, pooled_projection_dim=pooled, guidance_embeds=True, axes_dims_rope=(first, (size - first) // 2, (size - first) // 2))
    for parameter in model.parameters():
        if parameter.dim() > 1: torch.nn.init.normal_(parameter, 0, 0.02)
    return model


def main():
    a = arguments()
    import contextlib
    import torch
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    *_, grid, text, joint, pooled = PRESETS[a.preset]
    model = build(a, torch).requires_grad_(False)
    if a.quant == "nf4": nf4_linears(model, torch)
    prompt, vector = torch.randn(1, text, joint), torch.randn(1, pooled)
    ids = torch.zeros(grid, grid, 3)
    ids[..., 1] += torch.arange(grid)[:, None]
    ids[..., 2] += torch.arange(grid)[None]
    amp = (lambda: torch.autocast("cpu", torch.bfloat16)) if a.dtype == "bf16" else contextlib.nullcontext

    if a.mode == "infer":
        from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
        pipe = FluxPipeline(scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True), vae=None, text_encoder=None, tokenizer=None, text_encoder_2=None,
                            tokenizer_2=None, transformer=model.eval())
        pipe.set_progress_bar_config(disable=True)

        def step():
            with amp():
                pipe(prompt_embeds=prompt, pooled_prompt_embeds=vector, height=grid * 16, width=grid * 16, num_inference_steps=4, guidance_scale=3.5, output_type="latent")
    else:
        from peft import LoraConfig
        model.add_adapter(LoraConfig(r=4, lora_alpha=4, init_lora_weights="gaussian", target_modules=["to_k", "to_q", "to_v", "to_out.0"]))
        if a.recompute: model.enable_gradient_checkpointing()
        model.train()
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4)
        latents = torch.randn(1, grid * grid, 64)

        def step():
            noise, sigma = torch.randn_like(latents), torch.sigmoid(torch.randn(1))
            with amp():
                prediction = model(hidden_states=(1 - sigma) * latents + sigma * noise, timestep=sigma, guidance=torch.ones(1), pooled_projections=vector,
                                   encoder_hidden_states=prompt, txt_ids=torch.zeros(text, 3), img_ids=ids.reshape(-1, 3), return_dict=False)[0]
            ((prediction.float() - (noise - latents)) ** 2).mean().backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    step()
    result = {"preset": a.preset, "mode": a.mode, "quant": a.quant, "recompute": a.recompute, "dtype": a.dtype, "threads": a.threads, "torch": torch.__version__}
    if a.mode == "startup":
        ticks = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
        result["startup_to_first_step_s"] = round(float(open("/proc/uptime").read().split()[0]) - ticks / 100, 3)
    else:
        wall = []
        for _ in range(a.runs):
            begin = time.time()
            step()
            wall.append(time.time() - begin)
        result.update(runs=a.runs, step_s_median=round(statistics.median(wall), 4), step_s_min=round(min(wall), 4))
    result["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    print(json.dumps(result))


main()
