"""Trains Nano's transformer together with its CLIP and T5 encoders, on latents of the finished VAE: python train_flow.py OUT

Flow matching as FLUX.1 is trained: z_t = (1 - s) z + s noise, the network predicts noise - z, logit-normal s. One caption in ten is
empty. The encoders learn end to end with the transformer and are frozen ever after, like their big models. Weights are exponential
averages. Guidance is distilled as in dev: in the last third of the run, half of the pictures are to be drawn as classifier-free
guidance with the fed weight would draw them, target + (guidance - 1) (prediction with caption - prediction without), and guidance 1 is
the plain model, which is what fine-tuning feeds.
"""
import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from diffusers import AutoencoderKL, FluxPipeline
from torch.nn.attention import SDPBackend, sdpa_kernel

from drawing import draw
from grammar import held_out, random_scene, shortened
from models import T5_LENGTH, clip_tokenizer, encoders, load, save, t5_tokenizer, transformer
from pen import SIZE
from text import write_clip_tokenizer, write_t5_tokenizer
from workers import WORKERS, run, share_gradients

GRID = SIZE // 16
DISTIL_FROM = 0.67  # of the run
LENGTHS = ((T5_LENGTH, 1.0, 0.85), (32, 0.75, 0.08), (77, 0.5, 0.05), (512, 0.125, 0.02))  # T5 length, share of the batch, how often


def grammar(count, seed):
    """Scenes that are not held out, and what a person may call each: its whole caption and a shortened one."""
    r = random.Random(seed)
    scenes = []
    while len(scenes) < count:
        scene = random_scene(r)
        if not held_out(scene): scenes.append(scene)
    return scenes, [s.caption for s in scenes], [shortened(s, r) for s in scenes]


@torch.no_grad()
def encode(vae, scenes):
    """Packed means and standard deviations, (count, tokens, 64), scaled as the transformer sees them."""
    means, deviations = [], []
    for i in range(0, len(scenes), 16):
        x = torch.from_numpy(np.stack([np.asarray(draw(s)) for s in scenes[i:i + 16]])).permute(0, 3, 1, 2).float() / 127.5 - 1
        p = vae.encode(x).latent_dist
        pack = lambda z: FluxPipeline._pack_latents(z, len(z), 16, SIZE // 8, SIZE // 8)
        means.append(pack((p.mean - vae.config.shift_factor) * vae.config.scaling_factor))
        deviations.append(pack(p.std * vae.config.scaling_factor))
    return torch.cat(means), torch.cat(deviations)


def train(rank, a):
    say = (lambda *words: print(*words, flush=True)) if rank == 0 else (lambda *words: None)
    vae = AutoencoderKL.from_pretrained(a.out / "vae", torch_dtype=torch.float32)
    scenes, captions, short = grammar(a.scenes, a.seed)
    if rank == 0 and not a.go_on:
        write_clip_tokenizer(a.out / "tokenizer", captions)
        write_t5_tokenizer(a.out / "tokenizer_2", captions, 512)
    dist.barrier()
    clip_ids = torch.tensor(clip_tokenizer(a.out)(captions + short + [""], padding="max_length", max_length=77).input_ids)
    clip_ids = clip_ids[:, :20]  # causal, and pooled at the first end-of-text: what follows it never matters
    t5_ids = torch.tensor(t5_tokenizer(a.out)(captions + short + [""], padding="max_length", max_length=512).input_ids)

    start = time.time()
    cache = a.out / f"latents-{a.seed}-{rank}.pt"
    if not cache.exists(): torch.save(encode(vae, scenes[rank::WORKERS]), cache)
    means, deviations = torch.load(cache)
    dist.barrier()
    numbers = torch.arange(rank, a.scenes, WORKERS)
    say(f"encoded {a.scenes} in {time.time() - start:.0f} s, std {means.std():.3f}, posterior {deviations.mean():.3f}")

    torch.manual_seed(a.seed)
    clip, t5, net = load(a.out) if a.go_on else (*encoders(a.out), transformer())
    models = torch.nn.ModuleList([clip, t5, net]).train()
    parameters = [p for p in models.parameters()]
    say({n: sum(p.numel() for p in m.parameters()) for n, m in (("clip", clip), ("t5", t5), ("transformer", net), ("vae", vae))})
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=a.lr, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    image_ids = FluxPipeline._prepare_latent_image_ids(1, GRID, GRID, "cpu", torch.float32)
    torch.manual_seed(a.seed * WORKERS + rank + 1)
    lengths = random.Random(a.seed)  # the same in every worker: they share each step's form
    start, running, saved = time.time(), None, time.time()
    for step in range(1, a.steps + 1):
        progress = step / a.steps
        for group in optimizer.param_groups:
            group["lr"] = a.lr * min(1, step / 100) * (1 if progress < 0.3 else 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - 0.3) / 0.7)))
        length, share, _ = lengths.choices(LENGTHS, [c for *_, c in LENGTHS])[0]
        batch = max(1, int(a.batch * share))
        pick = torch.randint(len(means), (batch,))
        words = numbers[pick] + a.scenes * (torch.rand(batch) < 0.3)
        words = torch.where(torch.rand(batch) < 0.1, 2 * a.scenes, words)
        z = means[pick] + deviations[pick] * torch.randn(batch, *means.shape[1:])
        noise = torch.randn_like(z)
        s = torch.sigmoid(torch.randn(batch) * 1.2 + 0.4)
        noisy, target = (1 - s)[:, None, None] * z + s[:, None, None] * noise, noise - z
        guidance = 1 + 4 * torch.rand(batch)

        def predict(part, words, guidance):
            return net(hidden_states=noisy[part], timestep=s[part], guidance=guidance, pooled_projections=clip(clip_ids[words]).pooler_output,
                       encoder_hidden_states=t5(t5_ids[words, :length]).last_hidden_state, txt_ids=torch.zeros(length, 3), img_ids=image_ids).sample.float()

        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            if progress > DISTIL_FROM and batch > 1:
                guidance[batch // 2:] = 1
                half = slice(0, batch // 2)
                one = torch.ones(batch // 2)
                with torch.no_grad():
                    difference = predict(half, words[half], one) - predict(half, torch.full_like(words[half], 2 * a.scenes), one)
                target[half] += (guidance[half] - 1)[:, None, None] * difference
            v = predict(slice(None), words, guidance)
        loss = ((v - target) ** 2).mean()
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - min(0.996, (1 + step) / (10 + step)))
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0: say(f"step {step} {time.time() - start:.0f} s loss {running:.4f}")
        if rank == 0 and (time.time() - saved > 240 or step == a.steps):
            saved = time.time()
            kept = [p.detach().clone() for p in parameters]
            with torch.no_grad():
                for p, q in zip(parameters, average): p.copy_(q)
            save(a.out, clip, t5, net)
            with torch.no_grad():
                for p, q in zip(parameters, kept): p.copy_(q)
    say(json.dumps({"steps": a.steps, "pictures": a.steps * a.batch * WORKERS, "seconds": round(time.time() - start), "loss": running}))


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("out", type=Path)
    args.add_argument("--scenes", type=int, default=5000)
    args.add_argument("--steps", type=int, default=2000)
    args.add_argument("--batch", type=int, default=16, help="pictures a worker and step")
    args.add_argument("--lr", type=float, default=1.5e-3)
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--go-on", action="store_true", help="from the weights in OUT, with this seed's scenes and a fresh optimizer")
    args.add_argument("--port", type=int, default=29541)
    run(train, args.parse_args())


if __name__ == "__main__":
    main()
