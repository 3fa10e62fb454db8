"""Who says whether an open answer is right. Published figures used a large language model; offline there is a rule, and
figures by it are named so: they are not comparable with those of a model."""

from .measures import token_f1
from .parse import plain

ABSTAINS = ("i do not know", "i don't know", "i cannot tell", "i can't tell", "not sure", "cannot be determined", "unable to", "unknown",
            "cannot answer", "no information", "nothing in what i saw")  # fmt: skip


class Offline:
    """Right where the normal forms are equal, or one holds the other, or the F1 of their words reaches `least`."""

    name = "offline judge"

    def __init__(self, least=0.6):
        self.least = least

    def abstains(self, reply):
        text = reply.lower().replace("’", "'")
        return not plain(reply) or any(phrase in text for phrase in ABSTAINS)

    def right(self, reply, truth):
        a, b = plain(reply), plain(truth)
        return a == b or bool(b) and f" {b} " in f" {a} " or token_f1(reply, truth) >= self.least

    def grade(self, reply, truth, best=3):
        """0 to `best`, whole: by the F1 of words, all of it where it is right."""
        return best if self.right(reply, truth) else min(best - 1, int(best * token_f1(reply, truth)))

    def entails(self, sentence, event):
        """Whether a sentence says an event: most of the event's words are in it."""
        words, said = plain(event).split(), set(plain(sentence).split())
        return bool(words) and sum(word in said for word in words) / len(words) >= self.least
