"""What a piece of a text looks like, and whether another text says the same: features beside the piece itself.

T pieces.
"""

from __future__ import annotations

import dataclasses
import re
from functools import cached_property

import numpy as np

from suite.data.subwords import Pieces

SHAPES, MATCHES = 16, 5
"""How many numbers shapes and matches have, padding's 0 among them."""

NOTHING, PIECE, STEM, WORD = 1, 2, 3, 4  # what the other text has of a word

_STEM = 5  # letters that related words share, such as "found" of founder and founded
# Letters, digits and their combining marks in any script: neither blanks nor ASCII's, general or CJK punctuation.
_WORD = re.compile("[^\\s!-/:-@\\[-`{-~\u00a1-\u00bf\u2000-\u200c\u200e-\u206f\u3000-\u303f\uff01-\uff0f]+")


@dataclasses.dataclass(frozen=True, eq=False)
class Text:
    """A text in pieces, with its words.

    Example:

    >>> from suite.data import subwords
    >>> known = subwords.Subwords(subwords.train(["who founded the bank", "its founder"], size=60))
    >>> statement, question = (Text(text, known.encode(text)) for text in ("The founder is", "Who founded the bank?"))
    >>> matches(statement, question)[0]
    np.int32(4)
    """

    text: str
    pieces: Pieces

    @cached_property
    def words(self) -> list[re.Match[str]]:
        return list(_WORD.finditer(self.text))

    @cached_property
    def keys(self) -> list[str]:
        """The words as they are compared."""
        return [word[0].casefold() for word in self.words]

    @cached_property
    def stems(self) -> set[str]:
        return {key[:_STEM] for key in self.keys if len(key) >= _STEM}

    @cached_property
    def word_of(self) -> np.ndarray:
        """(T,) the word to which a piece belongs, or -1."""
        if not self.words:
            return np.full(len(self.pieces.ids), -1)
        begins = np.array([word.start() for word in self.words])
        ends = np.array([word.end() for word in self.words])
        found = np.searchsorted(begins, self.pieces.offsets[:, 0], side="right") - 1
        inside = (found >= 0) & (self.pieces.offsets[:, 0] < ends[np.maximum(found, 0)])
        return np.where(inside, found, -1)

    @cached_property
    def shapes(self) -> np.ndarray:
        """(T,) from 2 to 15: the shape of a piece's word, and whether the piece begins it."""
        begins = np.array([word.start() for word in self.words] + [-1])
        kinds = np.array([_kind(word[0]) for word in self.words] + [1])
        return (2 * kinds[self.word_of] + (begins[self.word_of] == self.pieces.offsets[:, 0])).astype("int32")


def matches(text: Text, other: Text) -> np.ndarray:
    """(T,) for each piece of the text: `WORD` if the other has its word, `STEM` if one with the same beginning,
    `PIECE` if the same piece, else `NOTHING`.

    Reference: Chen et al. 2017, "Reading Wikipedia to answer open-domain questions" (exact match), section 3.2,
    https://arxiv.org/abs/1704.00051. Differs from the paper: beginnings of words instead of lemmas.
    """
    words, stems = set(other.keys), other.stems
    of_word = [WORD if key in words else STEM if key[:_STEM] in stems else NOTHING for key in text.keys]
    found = np.array([*of_word, NOTHING], dtype="int32")[text.word_of]
    same = np.isin(text.pieces.ids, other.pieces.ids[other.word_of >= 0]) & (text.pieces.ids > 1) & (text.word_of >= 0)
    return np.where((found == NOTHING) & same, np.int32(PIECE), found)


def _kind(word: str) -> int:
    if word.isdigit():
        return 2 if len(word) == 4 else 3
    if any(character.isdigit() for character in word):
        return 4
    if word[:1].isupper():
        return 6 if len(word) > 1 and word.isupper() else 5
    return 7
