"""The grammar of scenes: subjects with a colour, a place, a weather, a position; caption and picture come from the same description."""
import random
from dataclasses import dataclass, field

COLOURS = {"red": (214, 58, 52), "orange": (238, 138, 44), "yellow": (246, 208, 66), "green": (70, 152, 74),
           "blue": (62, 112, 206), "purple": (138, 84, 178), "pink": (240, 142, 176), "white": (244, 242, 236)}
SUBJECTS = ["house", "tree", "boat", "tower", "flower", "balloon", "mushroom", "tent"]
PLACES = {"in a meadow": ((126, 184, 92), (96, 156, 74)), "by the sea": ((72, 140, 188), (52, 114, 168)),
          "in the desert": ((232, 198, 128), (214, 174, 100)), "in the snow": ((236, 242, 248), (208, 220, 234))}
SAND = (238, 214, 156)
SKIES = {"on a clear day": ((146, 204, 242), (206, 234, 250)), "at sunset": ((232, 104, 84), (252, 198, 118)),
         "at night": ((18, 24, 62), (52, 62, 118)), "in the rain": ((128, 140, 154), (176, 186, 196))}
POSITIONS = {"on the left": 0.28, "": 0.5, "on the right": 0.72}


@dataclass
class Scene:
    subjects: list  # (colour, subject, x)
    place: str
    weather: str
    position: str
    seed: int
    caption: str = field(init=False)

    def __post_init__(self):
        things = " and ".join(f"a {colour} {subject}".replace("a orange", "an orange") for colour, subject, _ in self.subjects)
        self.caption = f"{things} {self.place} {self.weather}" + (f", {self.position}" if self.position else "")


def random_scene(r: random.Random) -> Scene:
    if r.random() < 0.2:
        pair = [(r.choice(list(COLOURS)), r.choice(SUBJECTS), x) for x in (0.27, 0.73)]
        return Scene(pair, r.choice(list(PLACES)), r.choice(list(SKIES)), "", r.getrandbits(32))
    position = r.choice(list(POSITIONS))
    return Scene([(r.choice(list(COLOURS)), r.choice(SUBJECTS), POSITIONS[position])], r.choice(list(PLACES)), r.choice(list(SKIES)), position, r.getrandbits(32))


def held_out(scene: Scene) -> bool:
    """About one combination in eleven is kept from the transformer, so that drawing it shows composing, not remembering."""
    def number(colour, subject):
        return (list(COLOURS).index(colour) + 3 * SUBJECTS.index(subject) + 5 * list(PLACES).index(scene.place) + 7 * list(SKIES).index(scene.weather)) % 11
    return any(number(colour, subject) == 0 for colour, subject, _ in scene.subjects)


def shortened(scene: Scene, r: random.Random) -> str:
    """A caption as a hurried person writes it: sometimes without the place, the weather or the position, sometimes capitalised."""
    keep = lambda text, chance: text if r.random() >= chance else ""
    things = scene.caption.split(scene.place)[0].strip()
    position = f"on the {scene.position.split()[-1]}" if scene.position else ""
    caption = " ".join(filter(None, (things, keep(scene.place, 0.06), keep(scene.weather, 0.06))))
    if keep(position, 0.1): caption += f", {position}"
    return caption[0].upper() + caption[1:] if r.random() < 0.15 else caption
