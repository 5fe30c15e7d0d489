"""Free text as numbers: which terms a text has, of those that training chose, and how many words.

A word is a run of at least two letters, digits or underscores, in lower case (after Unicode's NFKC); a term is a word, or two
that stand side by side. A term weighs as often as it occurs in the text, times ``ln((1 + n) / (1 + d)) + 1`` for the d of n
training texts that have it; a text's weights are divided by the root of the sum of their squares (TF-IDF as
scikit-learn's `TfidfVectorizer` has it by default, https://scikit-learn.org/stable/modules/feature_extraction.html).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlplatform.core.training.hosts import Hosts

LEAST = 2
"""A term that fewer training texts have says something of those only."""

_WORD = re.compile(r"\w{2,}")


def words(text: str) -> list[str]:
    """The words of a text, in their order."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def choose(texts: Iterable[str], most: int, hosts: Hosts) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The `most` terms that most texts of all hosts have, in the order of their letters, and what each weighs.

    Of equally frequent ones those whose letters come first. None, where no term is in `LEAST` texts.
    """
    from mlplatform.core.training.hosts import counted, total

    own: Counter[str] = Counter()
    rows = 0
    for text in texts:
        own.update(set(_terms(words(text))))
        rows += 1
    rows = total(hosts, rows)
    found = counted(hosts, own)
    frequent = sorted((-count, term) for term, count in found.items() if count >= LEAST)[:most]
    chosen = tuple(sorted(term for _, term in frequent))
    return chosen, tuple(math.log((1 + rows) / (1 + found[term])) + 1 for term in chosen)


class Terms:
    """What chosen terms make of texts; immutable."""

    def __init__(self, terms: Sequence[str], weights: Sequence[float]) -> None:
        self._places = {term: place for place, term in enumerate(terms)}
        self._weights = tuple(weights)
        self.width = len(self._weights) + 1

    def of(self, text: str | None, *, refuse: bool = False) -> tuple[list[float], bool]:
        """A text's weights and, last, its number of words, all NaN for None; and whether it is None or has one of the terms.

        With `refuse` the number of words is -1 where it has none.
        """
        if text is None:
            return [math.nan] * self.width, True
        row = [0.0] * self.width
        found = words(text)
        counts = Counter(place for term in _terms(found) if (place := self._places.get(term)) is not None)
        values = {place: count * self._weights[place] for place, count in counts.items()}
        length = math.sqrt(sum(value * value for value in values.values()))
        for place, value in values.items():
            row[place] = value / length
        row[-1] = -1.0 if refuse and not counts else float(len(found))
        return row, bool(counts)


def _terms(found: Sequence[str]) -> Iterable[str]:
    yield from found
    for first, second in pairwise(found):
        yield f"{first} {second}"
