"""The subjects of the grammar: each drawn standing on (x, y), s tall, mostly in colour c."""
import math

from pen import mix


def house(p, x, y, s, c):
    p.poly([(x - .36*s, y), (x - .36*s, y - .5*s), (x + .36*s, y - .5*s), (x + .36*s, y)], c)
    p.poly([(x, y - .5*s), (x, y), (x + .36*s, y), (x + .36*s, y - .5*s)], mix(c, (0, 0, 0), .16))
    p.poly([(x - .46*s, y - .48*s), (x, y - .92*s), (x + .46*s, y - .48*s)], mix(c, (70, 44, 40), .6))
    p.poly([(x - .1*s, y), (x - .1*s, y - .27*s), (x + .08*s, y - .27*s), (x + .08*s, y)], (92, 60, 44))
    p.poly([(x + .16*s, y - .24*s), (x + .16*s, y - .4*s), (x + .3*s, y - .4*s), (x + .3*s, y - .24*s)], (252, 238, 170))


def tree(p, x, y, s, c):
    p.poly([(x - .07*s, y), (x - .05*s, y - .5*s), (x + .05*s, y - .5*s), (x + .07*s, y)], (112, 76, 50))
    for dx, dy, r in ((-.2, .5, .22), (.2, .52, .22), (0, .74, .27)):
        p.oval(x + dx*s, y - dy*s, r*s, r*s, c)
    p.oval(x - .07*s, y - .78*s, .1*s, .1*s, mix(c, (255, 255, 255), .3))


def boat(p, x, y, s, c):
    p.poly([(x - .5*s, y - .2*s), (x + .5*s, y - .2*s), (x + .3*s, y), (x - .32*s, y)], c)
    p.poly([(x - .02*s, y - .2*s), (x - .02*s, y - .95*s), (x + .02*s, y - .95*s), (x + .02*s, y - .2*s)], (110, 74, 48))
    p.poly([(x + .05*s, y - .9*s), (x + .05*s, y - .27*s), (x + .42*s, y - .27*s)], (248, 246, 238))
    p.poly([(x - .06*s, y - .8*s), (x - .06*s, y - .27*s), (x - .36*s, y - .27*s)], mix(c, (255, 255, 255), .55))


def tower(p, x, y, s, c):
    p.poly([(x - .2*s, y), (x - .14*s, y - .78*s), (x + .14*s, y - .78*s), (x + .2*s, y)], (246, 244, 238))
    for k in range(2):
        a, b = .12 + .36*k, .3 + .36*k
        w = lambda t: .2 - .06 * t / .78
        p.poly([(x - w(a)*s, y - a*s), (x - w(b)*s, y - b*s), (x + w(b)*s, y - b*s), (x + w(a)*s, y - a*s)], c)
    p.poly([(x - .17*s, y - .78*s), (x - .17*s, y - .9*s), (x + .17*s, y - .9*s), (x + .17*s, y - .78*s)], (252, 226, 120))
    p.poly([(x - .2*s, y - .9*s), (x, y - 1.08*s), (x + .2*s, y - .9*s)], c)


def flower(p, x, y, s, c):
    p.line([(x, y), (x + .02*s, y - .55*s)], (62, 122, 56), .05*s)
    p.oval(x - .15*s, y - .2*s, .15*s, .07*s, (76, 146, 66))
    p.oval(x + .17*s, y - .3*s, .15*s, .07*s, (76, 146, 66))
    for k in range(6):
        a = k * math.pi / 3
        p.oval(x + .02*s + .2*s*math.cos(a), y - .7*s + .2*s*math.sin(a), .14*s, .14*s, c)
    p.oval(x + .02*s, y - .7*s, .12*s, .12*s, (96, 62, 40) if c[2] < 150 and c[0] > 220 and c[1] > 190 else (250, 214, 90))


def balloon(p, x, y, s, c):
    y = y - .2*s
    p.poly([(x - .12*s, y), (x - .12*s, y - .15*s), (x + .12*s, y - .15*s), (x + .12*s, y)], (140, 96, 58))
    for dx in (-.1, .1):
        p.line([(x + dx*s, y - .15*s), (x + 2.4*dx*s, y - .42*s)], (90, 70, 50), .02*s)
    p.poly([(x - .32*s, y - .52*s), (x - .1*s, y - .28*s), (x + .1*s, y - .28*s), (x + .32*s, y - .52*s)], c)
    p.oval(x, y - .68*s, .36*s, .36*s, c)
    p.oval(x, y - .68*s, .16*s, .36*s, mix(c, (255, 255, 255), .45))


def mushroom(p, x, y, s, c):
    p.poly([(x - .14*s, y), (x - .1*s, y - .42*s), (x + .1*s, y - .42*s), (x + .14*s, y)], (240, 228, 204))
    p.oval(x, y - .38*s, .46*s, .44*s, c, 180, 360)
    for dx, dy, r in ((-.22, .5, .07), (.04, .64, .08), (.24, .48, .06)):
        p.oval(x + dx*s, y - dy*s, r*s, r*s, (252, 250, 244) if sum(c) < 690 else (216, 120, 110))


def tent(p, x, y, s, c):
    p.poly([(x - .55*s, y), (x - .05*s, y - .72*s), (x + .5*s, y)], c)
    p.poly([(x - .05*s, y - .72*s), (x + .5*s, y), (x + .62*s, y - .08*s)], mix(c, (0, 0, 0), .25))
    p.poly([(x - .2*s, y), (x - .05*s, y - .46*s), (x + .12*s, y)], mix(c, (30, 24, 22), .75))


DRAW = {"house": house, "tree": tree, "boat": boat, "tower": tower, "flower": flower, "balloon": balloon, "mushroom": mushroom, "tent": tent}
