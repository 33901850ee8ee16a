"""What diffusers and transformers make of the finished folder, for check.mjs to compare the engine with: python expected.py MODEL OUT

Loads MODEL with FluxPipeline.from_pretrained, unchanged; draws prompts.json's pictures (OUT/pictures.png) and writes OUT/expected.json:
token ids of many captions, and inputs and outputs of every network.
"""
import argparse
import json
import random
from pathlib import Path

import torch
from diffusers import FluxPipeline
from PIL import Image

from grammar import random_scene
from models import T5_LENGTH
from pen import SIZE


def numbers(t):
    return {"shape": list(t.shape), "data": [round(x, 6) for x in t.float().flatten().tolist()]}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("model", type=Path)
    args.add_argument("out", type=Path)
    a = args.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    pipe = FluxPipeline.from_pretrained(a.model, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    show = json.loads((a.model / "prompts.json").read_text())
    shown = show["prompts"]
    tile = SIZE + 4
    grid = Image.new("RGB", (tile * len(shown), tile))
    for i, p in enumerate(shown):
        picture = pipe(p["prompt"], height=SIZE, width=SIZE, num_inference_steps=show["steps"], guidance_scale=show["guidance"], max_sequence_length=T5_LENGTH,
                       generator=torch.Generator().manual_seed(p["seed"])).images[0]
        grid.paste(picture, (tile * i, 0))
    grid.save(a.out / "pictures.png")

    r = random.Random(99)
    captions = [random_scene(r).caption for _ in range(46)] + ["", "A Castle on 3 hills!", "café — naïve  two   spaces", "a red house " * 12]
    t5_ids = [pipe.tokenizer_2(c, padding="max_length", max_length=T5_LENGTH, truncation=True).input_ids for c in captions]
    clip_ids = [pipe.tokenizer(c, padding="max_length", max_length=77, truncation=True).input_ids for c in captions]
    with torch.no_grad():
        embeds = pipe.text_encoder_2(torch.tensor(t5_ids[:1])).last_hidden_state
        pooled = pipe.text_encoder(torch.tensor(clip_ids[:1])).pooler_output
        image = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
        mean = pipe.vae.encode(image).latent_dist.mean
        latents = torch.randn(1, (SIZE // 16) ** 2, 64)
        ids = FluxPipeline._prepare_latent_image_ids(1, SIZE // 16, SIZE // 16, "cpu", torch.float32)
        velocity = pipe.transformer(hidden_states=latents, timestep=torch.tensor([0.5]), guidance=torch.tensor([3.5]), pooled_projections=pooled,
                                    encoder_hidden_states=embeds, txt_ids=torch.zeros(T5_LENGTH, 3), img_ids=ids).sample
        decoded = pipe.vae.decode(mean).sample
    values = {"embeds": embeds, "pooled": pooled, "image": image, "mean": mean, "latents": latents, "velocity": velocity, "decoded": decoded}
    (a.out / "expected.json").write_text(json.dumps({
        "captions": captions, "t5": t5_ids, "clip": clip_ids, "t5Length": T5_LENGTH, **{k: numbers(v[0]) for k, v in values.items()}}))


if __name__ == "__main__":
    main()
