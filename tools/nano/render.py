"""Renders a fine-tuning set: python render.py FOLDER --style "art nouveau" [--count 28] [--seed 1] [--held-out]

Pictures (PNG, 128x128) with captions of the same name. The captions do not name the style: what the adapter adds is how a scene looks,
so the same prompt draws in the base's style without it and in the new one with it. Held-out combinations are left out here as well, or
with --held-out are the only ones: pictures to measure on, of what neither training has seen.
"""
import argparse
import random
from pathlib import Path

from drawing import draw
from grammar import held_out, random_scene
from styles import STYLES


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("folder", type=Path)
    args.add_argument("--style", choices=list(STYLES), required=True)
    args.add_argument("--count", type=int, default=28)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--held-out", action="store_true")
    a = args.parse_args()
    a.folder.mkdir(parents=True, exist_ok=True)
    r = random.Random(a.seed)
    count = 0
    while count < a.count:
        scene = random_scene(r)
        if held_out(scene) != a.held_out: continue
        count += 1
        name = "-".join(f"{colour}-{subject}" for colour, subject, _ in scene.subjects)
        draw(scene, a.style).save(a.folder / f"{count:02}-{name}.png", optimize=True)
        (a.folder / f"{count:02}-{name}.txt").write_text(scene.caption + "\n")


if __name__ == "__main__":
    main()
