"""Extraction of sentences that many others resemble.

TextRank: R. Mihalcea, P. Tarau, "TextRank: Bringing Order into Texts", EMNLP 2004. Sentences are
nodes, the cosine of their weighted words is the strength of an edge, and PageRank says which node
the others point to.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from article import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Matrix = npt.NDArray[np.float64]

_TOLERANCE = 1e-10
_MOST_STEPS = 500


class Extractor(NamedTuple):
    """How sentences are chosen.

    Args:
        stop_words: words that say nothing about what a sentence is about.
        damping: probability of following an edge rather than jumping anywhere, 0..1.
        most_alike: cosine above which a sentence repeats one that is already chosen, 0..1.
        block: sentences compared with one another at once; the graph has its square of edges.
    """

    stop_words: frozenset[str]
    damping: float
    most_alike: float
    block: int


def load(model_dir: str) -> Extractor:
    """Read ``textrank.json``."""
    settings = json.loads(Path(model_dir, "textrank.json").read_text(encoding="utf-8"))
    return Extractor(frozenset(settings.pop("stop_words")), **settings)


def extract(sentences: Sequence[str], extractor: Extractor, *, max_words: int) -> str:
    """Join sentences of together at most ``max_words``, in the order of the article.

    The best sentence is always among them, even if it alone is longer.
    """
    candidates = _condensed(sentences, extractor)
    vectors = _vectors(candidates, extractor.stop_words)
    alike = vectors @ vectors.T  # (n, n), 0..1
    chosen: list[int] = []
    room = max_words
    for place in _by_rank(alike, extractor.damping):
        length = len(words(candidates[place]))
        repeats = any(alike[place, other] > extractor.most_alike for other in chosen)
        if not chosen or (length <= room and not repeats):
            chosen.append(place)
            room -= length
    return " ".join(candidates[place] for place in sorted(chosen))


def _condensed(sentences: Sequence[str], extractor: Extractor) -> Sequence[str]:
    """At most ``block`` sentences: of each block the better half goes on to the next round."""
    while len(sentences) > extractor.block:
        kept: list[str] = []
        for start in range(0, len(sentences), extractor.block):
            block = sentences[start : start + extractor.block]
            vectors = _vectors(block, extractor.stop_words)
            best = _by_rank(vectors @ vectors.T, extractor.damping)[: (len(block) + 1) // 2]
            kept.extend(block[place] for place in sorted(best))
        sentences = kept
    return sentences


def _vectors(sentences: Sequence[str], stop_words: frozenset[str]) -> Matrix:
    """(n, V) of length 1: how often a word stands in a sentence, times how rare it is elsewhere."""
    counts = [
        Counter(_stem(word) for word in words(sentence.lower()) if word not in stop_words)
        for sentence in sentences
    ]
    spread = Counter(word for count in counts for word in count)
    vocabulary = {word: place for place, word in enumerate(spread)}
    vectors = np.zeros((len(sentences), len(vocabulary)))
    for row, count in enumerate(counts):
        for word, times in count.items():
            rarity = np.log(1 + len(sentences) / spread[word])
            vectors[row, vocabulary[word]] = times * rarity
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Matrix = np.divide(vectors, lengths, out=vectors, where=lengths > 0)
    return unit


def _stem(word: str) -> str:
    """Plural and possessive as the singular; more would need a dictionary."""
    bare = word.replace("\u2019", "'")
    for ending in ("'s", "s"):
        if bare.endswith(ending) and len(bare) - len(ending) >= 3 and not bare.endswith("ss"):
            return bare[: -len(ending)]
    return bare


def _by_rank(alike: Matrix, damping: float) -> list[int]:
    """Places of the nodes, the most central first; of equal ones the earlier."""
    edges = alike - np.diag(np.diag(alike))
    strength = edges.sum(axis=1, keepdims=True)
    count = len(edges)
    # A sentence that resembles no other points to all alike.
    steps = np.divide(edges, strength, out=np.full_like(edges, 1 / count), where=strength > 0)
    rank = np.full(count, 1 / count)
    for _ in range(_MOST_STEPS):
        moved = (1 - damping) / count + damping * (rank @ steps)
        if np.abs(moved - rank).sum() < _TOLERANCE:
            break
        rank = moved
    # Rounded, so that the last digits of a processor do not decide between equals.
    order: list[int] = np.argsort(-np.round(rank, 9), kind="stable").tolist()
    return order
