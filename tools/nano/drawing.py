"""draw(scene, style) gives the picture of a scene. Everything in it follows from the scene and its seed."""
import math
import random

from PIL import Image

from grammar import COLOURS, PLACES, SAND, SKIES, Scene
from pen import SIZE, Pen, mix
from styles import STYLES
from subjects import DRAW


def draw(scene: Scene, style: str = "plain") -> Image.Image:
    r = random.Random(scene.seed)
    pen = Pen(STYLES[style])
    n = pen.n
    top, bottom = SKIES[scene.weather]
    pen.style.sky(pen, top, bottom, r)
    if scene.weather == "at night":
        for i in range(12):
            pen.oval((i % 6 + r.uniform(.2, .8)) / 6, (i // 6 + r.uniform(.2, .8)) / 4, .009, .009, (250, 246, 214))
        pen.oval(0.8, 0.16, .075, .075, (250, 244, 206))
    elif scene.weather != "in the rain":
        low = scene.weather == "at sunset"
        pen.oval(0.5 if low else 0.8, 0.56 if low else 0.17, .11 if low else .08, .11 if low else .08, (255, 232, 150))
    if scene.weather == "on a clear day":
        for cx in (0.16 + r.random() * .1, 0.5 + r.random() * .1):
            cy = 0.12 + r.random() * .1
            for dx, rad in ((-.07, .035), (0, .05), (.07, .035)):
                pen.oval(cx + dx, cy, rad * 1.5, rad, (250, 252, 254))
    near, far = PLACES[scene.place]
    if scene.weather == "at night":
        near, far = mix(near, (16, 20, 52), .45), mix(far, (16, 20, 52), .45)
    horizon = 0.62 + r.uniform(-.02, .02)
    if scene.place == "by the sea":
        pen.poly([(-.02, horizon), (1.02, horizon), (1.02, 1.02), (-.02, 1.02)], near)
        for k in range(2):
            y = horizon + .05 + k * .07
            x = r.random() * .3
            pen.line([(x, y), (x + .22, y)], mix(near, (255, 255, 255), .5), .014)
            pen.line([(x + .45, y + .03), (x + .67, y + .03)], mix(near, (255, 255, 255), .5), .014)
        sand = SAND if scene.weather != "at night" else mix(SAND, (16, 20, 52), .45)
        pen.poly([(-.02, .85), (.3, .815), (.7, .83), (1.02, .8), (1.02, 1.02), (-.02, 1.02)], sand)
    else:
        phase = r.uniform(0, 2 * math.pi)
        hill = [(i / 12, horizon + .025 * math.sin(i / 12 * 5 + phase)) for i in range(13)]
        pen.poly([(-.02, 1.02)] + [(-.02, hill[0][1])] + hill + [(1.02, hill[-1][1]), (1.02, 1.02)], far)
        pen.poly([(-.02, .8), (.4, .77), (1.02, .82), (1.02, 1.02), (-.02, 1.02)], near)
    for colour, subject, x in scene.subjects:
        size = (0.56 if len(scene.subjects) == 1 else 0.44) * r.uniform(.9, 1.1)
        shade = mix(COLOURS[colour], (12, 16, 48), .3) if scene.weather == "at night" else COLOURS[colour]
        floor = 0.79 if subject == "boat" and scene.place == "by the sea" else 0.87  # boats float, the rest stands on the ground
        DRAW[subject](pen, x + r.uniform(-.03, .03), floor + r.uniform(-.02, .02), size, shade)
    if scene.weather == "in the rain":
        for i in range(24):  # one drop in each cell of a grid, so that rain is even
            x, y = (i % 6 + r.uniform(.2, .8)) / 6, (i // 6 + r.uniform(.1, .7)) / 4
            pen.line([(x, y), (x - .025, y + .07)], (214, 224, 234), .008)
    pen.style.finish(pen, r)
    return pen.image.resize((SIZE, SIZE), Image.LANCZOS)
