"""How shapes are put on paper. The base model saw the plain style alone; the others are what fine-tuning teaches it."""
from PIL import Image, ImageDraw

from pen import mix


class Style:
    """How shapes are put on paper. The base: flat fills, a lighter side, no outline."""
    name = "plain"

    def colour(self, rgb):
        return rgb

    outline = None
    width = 0

    def sky(self, pen, top, bottom, r):
        for i in range(pen.n):
            pen.d.line([(0, i), (pen.n, i)], fill=mix(top, bottom, i / (pen.n * 0.66)) if i < pen.n * 0.66 else bottom)

    def finish(self, pen, r):
        pass


class ArtNouveau(Style):
    """Arched frame with ornament, brown outlines, a muted palette, a sky in bands."""
    name = "art nouveau"
    outline, width = (64, 44, 36), 3

    def colour(self, rgb):
        grey = sum(rgb) // 3
        return mix(mix(rgb, (grey, grey, grey), 0.3), (206, 172, 112), 0.32)

    def sky(self, pen, top, bottom, r):
        pen.d.rectangle([0, 0, pen.n, pen.n], fill=self.colour(bottom))
        for i in range(6):  # concentric bands behind the scene
            radius = pen.n * (0.72 - i * 0.11)
            c = self.colour(mix(top, bottom, i / 6))
            pen.d.ellipse([pen.n / 2 - radius, pen.n * 0.56 - radius, pen.n / 2 + radius, pen.n * 0.56 + radius], fill=c, outline=(150, 118, 78), width=2)

    def finish(self, pen, r):
        n, gold, dark, cream = pen.n, (188, 146, 74), self.outline, (238, 222, 184)
        frame = Image.new("L", (n, n), 255)
        f = ImageDraw.Draw(frame)
        m = n * 0.085
        f.rectangle([m, n * 0.36, n - m, n - m], fill=0)
        f.ellipse([m, n * 0.05, n - m, n * 0.05 + n - 2 * m], fill=0)
        paper = Image.new("RGB", (n, n), cream)
        p = ImageDraw.Draw(paper)
        for cx, s in ((0.0, 1), (1.0, -1)):  # a stem that curls in each upper corner
            for k in range(3):
                radius = n * (0.17 - k * 0.05)
                x = n * cx + s * n * 0.09
                p.arc([x - radius, n * 0.09 - radius, x + radius, n * 0.09 + radius], 0, 360, fill=(104, 122, 74), width=5)
            p.ellipse([n * cx + s * n * 0.09 - 9, n * 0.09 - 9, n * cx + s * n * 0.09 + 9, n * 0.09 + 9], fill=(178, 84, 70), outline=dark, width=2)
        for i in range(9):  # beads below
            x = n * (0.1 + i * 0.1)
            p.ellipse([x - 6, n * 0.955 - 6, x + 6, n * 0.955 + 6], fill=gold, outline=dark, width=2)
        pen.image.paste(paper, (0, 0), frame)
        pen.d.arc([m, n * 0.05, n - m, n * 0.05 + n - 2 * m], 180, 360, fill=dark, width=5)
        for x in (m, n - m):
            pen.d.line([(x, n * 0.46), (x, n - m)], fill=dark, width=5)
        pen.d.line([(m, n - m), (n - m, n - m)], fill=dark, width=5)
        pen.d.rectangle([2, 2, n - 3, n - 3], outline=gold, width=6)


class Blueprint(Style):
    """White lines on blue paper with a grid."""
    name = "blueprint"
    paper, outline, width = (30, 66, 138), (226, 236, 248), 4

    def colour(self, rgb):
        return mix(self.paper, rgb, 0.14)

    def sky(self, pen, top, bottom, r):
        pen.d.rectangle([0, 0, pen.n, pen.n], fill=self.paper)

    def finish(self, pen, r):
        for i in range(0, pen.n, pen.n // 8):
            pen.d.line([(i, 0), (i, pen.n)], fill=(70, 106, 176), width=2)
            pen.d.line([(0, i), (pen.n, i)], fill=(70, 106, 176), width=2)
        pen.d.rectangle([6, 6, pen.n - 7, pen.n - 7], outline=self.outline, width=4)


STYLES = {s.name: s for s in (Style(), ArtNouveau(), Blueprint())}
