"""Sets of clips that differ in one thing only: order, direction, speed, count, duration or an attribute."""


def make_set(seed, studio):
    return []
