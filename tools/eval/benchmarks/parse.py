"""Reading what a model wrote: letters, yes and no, numbers, times, spans, orders. All give None where nothing can be read."""

import ast
import math
import re

from .core import LETTERS

def letter(reply, options):
    """The option that a reply names by its letter or its text, as an index. The article "A" and the pronoun "I" are no
    letters."""
    text, known = reply.strip(), LETTERS[: len(options)]
    patterns = (
        rf"\W*([{known}])\W*",  # the letter alone
        rf"\(?([{known}])[).:,](?:\s.*)?",  # B. the text
    )
    for pattern in patterns:
        found = re.fullmatch(pattern, text, re.DOTALL)
        if found:
            return LETTERS.index(found[1])
    found = re.search(rf"\(([{known}])\)|(?i:answer|option|choice)(?: is|:)?\s*:?\s*\(?([{known}])\b", text)
    if found:
        return LETTERS.index(found[1] or found[2])
    whole = [i for i, option in enumerate(options) if plain(option) and plain(option) == plain(text)]
    inside = [i for i, option in enumerate(options) if plain(option) and f" {plain(option)} " in f" {plain(text)} "]
    for named in (whole, inside):
        if len(named) == 1:
            return named[0]
    found = re.search(rf"(?<![\w'])([{known}])(?![\w'])(?!\s+[a-z])", text)
    return LETTERS.index(found[1]) if found else None


def yes_no(reply):
    """True or False: whichever word comes first."""
    found = re.search(r"\b(yes|no)\b", reply.lower())
    return found[1] == "yes" if found else None


CLOCK = r"\d+:\d{1,2}(?::\d{1,2})?(?:\.\d+)?"
TIME = rf"(?:{CLOCK}|\d+(?:\.\d+)?)"


def is_number(value):
    """NaN, infinity, yes and no are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def seconds(text):
    """12.5, "12.5 s", "1:30", "1:02:03" -> s"""
    if isinstance(text, (int, float)):
        return float(text) if is_number(text) else None
    found = re.search(TIME, text)
    if not found:
        return None
    total = 0.0
    for part in found[0].split(":"):
        total = 60 * total + float(part)
    return total


def minutes_seconds(text):
    """SSBD's "0018:0024" -> (18.0, 24.0): two times of mmss."""
    found = re.fullmatch(r"(\d{2})(\d{2})\s*:\s*(\d{2})(\d{2})", text.strip())
    if not found:
        return None
    a, b, c, d = (int(part) for part in found.groups())
    return (60.0 * a + b, 60.0 * c + d)


def span(reply):
    """(start_s, end_s) of [1, 2], "from 1 to 2", "0:10 - 0:20"."""
    found = spans(reply)
    return found[0] if found else None


def spans(reply):
    """[(start_s, end_s)], empty if there are none."""
    if isinstance(reply, (list, tuple)):
        if len(reply) == 2 and all(map(is_number, reply)):
            return [(float(reply[0]), float(reply[1]))]
        return [s for part in reply if isinstance(part, (list, tuple)) for s in spans(part)]
    if not isinstance(reply, str):
        return []
    pairs = re.findall(rf"({TIME})\s*(?:s|sec|seconds?)?\s*(?:-|–|—|,|;|to|and|until)\s*({TIME})", reply)
    return [(seconds(a), seconds(b)) for a, b in pairs]


def moments(reply):
    """[s]: all times that a reply names."""
    if is_number(reply):
        return [float(reply)]
    if isinstance(reply, (list, tuple)):
        return [m for part in reply for m in moments(part)]
    return [seconds(found) for found in re.findall(TIME, reply)] if isinstance(reply, str) else []


def told(reply):
    """[[time_s, text]] of a stream, as (float, str)."""
    if not all(is_number(at) and isinstance(text, str) for at, text in reply):
        raise ValueError("a time that is none, or a text")
    return [(float(at), text) for at, text in reply]


def order(reply):
    """ "Clip 2, Clip 1" or [2, 1] -> [2, 1]"""
    if isinstance(reply, (list, tuple)):
        return [int(part) for part in reply] if reply and all(isinstance(part, int) and is_number(part) for part in reply) else None
    named = re.findall(r"clip\s*#?\s*(\d+)", reply.lower()) or re.findall(r"\d+", reply)
    return [int(part) for part in named] or None


def boxes(reply):
    """{"1.0": [x0, y0, x1, y1] or several} as V-STaR's predictions have it, also as text."""
    if isinstance(reply, str):
        try:
            reply = ast.literal_eval(reply)
        except (ValueError, SyntaxError):
            return None
    return {str(k): v for k, v in reply.items()} if isinstance(reply, dict) else None


def plain(text):
    """Small letters, without articles and punctuation, one blank between words: the normal form of SQuAD's scorer."""
    words = re.sub(r"[^\w\s]", " ", str(text).lower()).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))
