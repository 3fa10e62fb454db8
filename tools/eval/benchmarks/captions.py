"""Measures of sentences, by libraries: CIDEr and BLEU of pycocoevalcap, METEOR of nltk, ROUGE-L of rouge-score.

METEOR compares words and their stems; WordNet's synonyms, a download, are left out, so figures are a little lower than
published ones. The tokenizer is not Stanford's, which needs Java: words in small letters without punctuation, as that one
leaves them in nearly all captions.
"""

import re

import numpy as np
from nltk.translate.meteor_score import meteor_score
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from rouge_score.rouge_scorer import RougeScorer

from .measures import f1, tiou


class NoSynonyms:
    """In place of WordNet."""

    @staticmethod
    def synsets(*_):
        return []


def words(text):
    return re.findall(r"\w+(?:'\w+)?", text.lower())


def _tables(pairs):
    found = {i: [" ".join(words(text))] for i, (text, _) in enumerate(pairs)}
    wanted = {i: [" ".join(words(text)) for text in texts] for i, (_, texts) in enumerate(pairs)}
    return wanted, found


def cider(pairs):
    """[(sentence, [references])] -> [CIDEr-D of each, 0 to 10]. Weights of words come from these references, so it is of
    the whole set."""
    return [float(v) for v in Cider().compute_score(*_tables(pairs))[1]] if pairs else []


def bleu4(pairs):
    """[(sentence, [references])] -> BLEU-4 of the set, 0 to 1."""
    return float(Bleu(4).compute_score(*_tables(pairs), verbose=0)[0][3]) if pairs else 0.0


def meteor(text, references):
    """0 to 1: words and stems."""
    found = words(text)
    return float(meteor_score([words(r) for r in references], found, wordnet=NoSynonyms)) if found else 0.0


def rouge_l(text, references):
    """F of the longest common subsequence, the best of the references."""
    scorer = RougeScorer(["rougeL"])
    return max((scorer.score(reference, text)["rougeL"].fmeasure for reference in references), default=0.0)


def soda_c(found, wanted, likeness=lambda a, b: meteor(a, [b])):
    """[(start_s, end_s, text)] twice -> F of IoU times METEOR over the best pairs that keep the order (Fujita et al., ECCV
    2020)."""
    if not found or not wanted:
        return 0.0
    best = np.zeros((len(wanted) + 1, len(found) + 1))
    for i, w in enumerate(wanted, 1):
        for j, p in enumerate(found, 1):
            overlap = tiou(w[:2], p[:2])
            pair = overlap * likeness(p[2], w[2]) if overlap else 0.0
            best[i, j] = max(best[i - 1, j], best[i, j - 1], best[i - 1, j - 1] + pair)
    return f1(best[-1, -1] / len(found), best[-1, -1] / len(wanted))
