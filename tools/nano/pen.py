"""Shapes in a unit square (y down), drawn large and reduced, in a style's colours and outline."""
from PIL import Image, ImageDraw

SIZE, SCALE = 128, 2


def mix(a, b, t):
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b))


class Pen:
    def __init__(self, style):
        self.style, self.n = style, SIZE * SCALE
        self.image = Image.new("RGB", (self.n, self.n))
        self.d = ImageDraw.Draw(self.image)

    def poly(self, points, rgb):
        pts = [(x * self.n, y * self.n) for x, y in points]
        self.d.polygon(pts, fill=self.style.colour(rgb))
        if self.style.outline:
            self.d.line(pts + [pts[0], pts[1]], fill=self.style.outline, width=self.style.width, joint="curve")

    def oval(self, x, y, rx, ry, rgb, start=None, end=None):
        box = [(x - rx) * self.n, (y - ry) * self.n, (x + rx) * self.n, (y + ry) * self.n]
        if start is None:
            outline = self.style.outline if rx * self.n > 4 else None  # a star is smaller than its outline would be
            self.d.ellipse(box, fill=self.style.colour(rgb), outline=outline, width=self.style.width)
        else:
            self.d.pieslice(box, start, end, fill=self.style.colour(rgb), outline=self.style.outline, width=self.style.width)

    def line(self, points, rgb, width):
        self.d.line([(x * self.n, y * self.n) for x, y in points], fill=self.style.outline or self.style.colour(rgb), width=max(1, round(width * self.n)))
