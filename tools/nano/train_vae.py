"""Makes Nano's AutoencoderKL (16 latent channels, 1/8 size) from scenes and doodles: python train_vae.py OUT

The encoder is computed (principal.py) and written first, so the transformer can learn from its latents meanwhile; the decoder is trained.
The doodles (random lines, arcs, frames, shapes in any colours) teach it drawings in general, so that a style the transformer has
never seen still survives encoding. Loss: L1, and L1 of differences between neighbours (edges). --go-on trains OUT's decoder further and
leaves the encoder alone, so that a transformer trained on its latents stays right.
"""
import argparse
import json
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw

from drawing import draw
from grammar import random_scene
from models import forget_origin
from pen import SIZE
from principal import set_encoder
from workers import WORKERS, run, share_gradients

CONFIG = dict(in_channels=3, out_channels=3, latent_channels=16, block_out_channels=(16, 32, 32, 64), layers_per_block=1, norm_num_groups=8,
              down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4, use_quant_conv=False, use_post_quant_conv=False,
              sample_size=SIZE)
NOISE = 0.1  # added to z before decoding, so that the decoder forgives a transformer that is a little off


def doodle(image, r):
    if r.random() < 0.5: image = Image.new("RGB", (SIZE, SIZE), tuple(r.randrange(256) for _ in range(3)))
    image = image.resize((2 * SIZE, 2 * SIZE), Image.NEAREST)  # drawn large and reduced, as the scenes are: soft edges
    d = ImageDraw.Draw(image)
    rgb = lambda: tuple(r.randrange(256) for _ in range(3))
    for _ in range(r.randrange(2, 7)):
        x, y, w, h = r.uniform(-20, 2 * SIZE), r.uniform(-20, 2 * SIZE), r.uniform(0, SIZE), r.uniform(0, SIZE)
        box = [x, y, x + w + 4, y + h + 4]
        kind = r.randrange(6)
        line = rgb() if r.random() < 0.6 else None
        if kind == 0: d.rectangle(box, fill=rgb() if r.random() < 0.6 else None, outline=line, width=r.randrange(2, 8))
        elif kind == 1: d.ellipse(box, fill=rgb() if r.random() < 0.6 else None, outline=line, width=r.randrange(2, 8))
        elif kind == 2: d.line([tuple(r.uniform(0, 2 * SIZE) for _ in range(2)) for _ in range(r.randrange(2, 5))], fill=rgb(), width=r.randrange(2, 8))
        elif kind == 3: d.arc(box, r.randrange(360), r.randrange(360), fill=rgb(), width=r.randrange(2, 8))
        elif kind == 4:  # parallel lines
            step, colour, width, across = r.randrange(8, 40), rgb(), r.randrange(1, 6), r.random() < 0.5
            for t in range(r.randrange(step), 2 * SIZE, step): d.line([(t, 0), (t, 2 * SIZE)] if across else [(0, t), (2 * SIZE, t)], fill=colour, width=width)
        else: d.polygon([(r.uniform(0, 2 * SIZE), r.uniform(0, 2 * SIZE)) for _ in range(3)], fill=rgb(), outline=line)
    return image.resize((SIZE, SIZE), Image.LANCZOS)


def pictures(count, r, doodles=1):
    """doodles: how many of each three are drawn over."""
    out = np.empty((count, 3, SIZE, SIZE), np.uint8)
    for i in range(count):
        image = draw(random_scene(r))
        if 1 <= i % 3 <= doodles: image = doodle(image, r)
        out[i] = np.asarray(image).transpose(2, 0, 1)
    return torch.from_numpy(out)


def edges(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]


def train(rank, a):
    torch.manual_seed(a.seed)
    vae = AutoencoderKL(**CONFIG)  # the same in every worker
    say = (lambda *words: print(*words, flush=True)) if rank == 0 else (lambda *words: None)
    say(sum(p.numel() for p in vae.parameters()), "parameters")
    if a.go_on: vae = AutoencoderKL.from_pretrained(a.out / "vae", torch_dtype=torch.float32)
    else: set_encoder(vae, pictures(450, random.Random(a.seed)).float() / 127.5 - 1)
    vae.to(torch.bfloat16).float()  # what the file will hold
    vae.requires_grad_(False).decoder.requires_grad_(True)
    torch.manual_seed(a.seed * WORKERS + rank + 1)
    r = random.Random(a.seed * WORKERS + rank + 1)
    data, held_out = pictures(a.pictures // WORKERS, r, a.doodles), pictures(24, random.Random(-1)).float() / 127.5 - 1
    with torch.no_grad():
        latents = torch.cat([vae.encode(x.float() / 127.5 - 1).latent_dist.mode() for x in data.split(50)])
    if not a.go_on:
        z = latents[torch.arange(len(latents)) % 3 != 1]  # scenes; the published constants bring z to unit scale, ours do the same for ours
        vae.register_to_config(scaling_factor=round(1 / z.std().item(), 4), shift_factor=round(z.mean().item(), 4))
        if rank == 0: vae.save_pretrained(a.out / "vae")
        say("encoder written; scaling", vae.config.scaling_factor, "shift", vae.config.shift_factor, "spreads", [round(x, 2) for x in z.std((0, 2, 3)).tolist()])
    elif rank == 0: report(vae, held_out, "before")
    parameters = list(vae.decoder.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=a.lr, betas=(0.9, 0.99), weight_decay=1e-4, fused=True)
    start = time.time()
    for step in range(1, a.steps + 1):
        progress = step / a.steps
        for group in optimizer.param_groups:
            group["lr"] = a.lr * min(1, step / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        size = SIZE // 2 if progress < 0.85 else SIZE  # crops first: nothing in the network knows the size, and a step sees more pictures
        pick = torch.randint(len(data), (a.batch * (SIZE // size) ** 2,))
        top, left = (8 * r.randrange((SIZE - size) // 8 + 1) for _ in range(2))
        x = data[pick, :, top:top + size, left:left + size].float() / 127.5 - 1
        z = latents[pick, :, top // 8:(top + size) // 8, left // 8:(left + size) // 8]
        y = vae.decode(z + NOISE * torch.randn_like(z)).sample
        loss = (y - x).abs().mean() + 0.5 * sum((p - q).abs().mean() for p, q in zip(edges(y), edges(x)))
        optimizer.zero_grad()
        loss.backward()
        share_gradients(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if rank == 0 and step % 100 == 0: report(vae, held_out, f"step {step} {time.time() - start:.0f} s loss {loss.item():.4f}")
        if rank == 0 and step % 500 == 0: vae.save_pretrained(a.out / "vae")
    if rank > 0: return
    vae.to(torch.bfloat16).save_pretrained(a.out / "vae")
    forget_origin(a.out / "vae")
    say(json.dumps({"steps": a.steps, "seconds": round(time.time() - start)}))


@torch.no_grad()
def report(vae, held_out, words):
    p = vae.encode(held_out).latent_dist
    mse = ((vae.decode(p.mode()).sample - held_out) ** 2).flatten(1).mean(1) / 4
    db = -10 * mse.log10()  # every third picture is a doodle
    print(f"{words} PSNR scenes {db.view(-1, 3)[:, ::2].mean():.2f} doodles {db[1::3].mean():.2f} dB", flush=True)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("out", type=Path)
    args.add_argument("--steps", type=int, default=2500)
    args.add_argument("--batch", type=int, default=2, help="whole pictures a worker and step; four times as many crops at first")
    args.add_argument("--pictures", type=int, default=2000)
    args.add_argument("--doodles", type=int, choices=(1, 2), default=1, help="of each three pictures")
    args.add_argument("--lr", type=float, default=2e-3)
    args.add_argument("--go-on", action="store_true")
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--port", type=int, default=29540)
    run(train, args.parse_args())


if __name__ == "__main__":
    main()
