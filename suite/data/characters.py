"""Texts as single characters: those of the training texts, each with a number, and one number for all others.

0 is padding, 1 stands for a character that training did not have, specials follow from 2 on, then the characters in the
order of their code points.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

PADDING, UNKNOWN = 0, 1
CODE_POINTS = 0x110000 - 0x800
"""How many characters Unicode has room for; halves of surrogate pairs are none."""

_SHOWN = "\ufffd"  # what an unknown character is shown as


def train(texts: Iterable[str], *, size: int, specials: Sequence[str] = ()) -> str:
    """The alphabet of the texts as JSON, for `Characters`.

    Args:
        texts: training texts.
        size: the most numbers that there may be, padding, unknown and specials among them; rarer characters are then
            unknown, of equally frequent ones those of the higher code points.
        specials: further tokens that no text contains.
    """
    counts = Counter[str]()
    for text in texts:
        counts.update(text)
    frequent = sorted((c for c in counts if not "\ud800" <= c <= "\udfff"), key=lambda c: (-counts[c], c))
    kept = sorted(frequent[: max(0, size - 2 - len(specials))])
    return json.dumps({"specials": list(specials), "alphabet": "".join(kept)}, ensure_ascii=False)


class Characters:
    r"""An alphabet, used as `suite.data.bpe.Pieces` is.

    Args:
        json: what `train` gave.

    Example:

    >>> characters = Characters(train(["banana"], size=9, specials=["[START]"]))
    >>> ids = characters.encode("banane")
    >>> ids.tolist(), characters.decode(ids)
    ([4, 3, 5, 3, 5, 1], 'banan\ufffd')
    """

    def __init__(self, json: str) -> None:
        self.json = json

    @cached_property
    def _specials(self) -> list[str]:
        return list(json.loads(self.json)["specials"])

    @cached_property
    def _shown(self) -> list[str]:
        return ["", _SHOWN, *("" for _ in self._specials), *json.loads(self.json)["alphabet"]]

    @cached_property
    def _codes(self) -> np.ndarray:
        """The code points of the alphabet, rising."""
        return np.array([ord(character) for character in self._shown[2 + len(self._specials) :]], dtype="uint32")

    @property
    def size(self) -> int:
        """How many numbers there are, padding, unknown and specials among them."""
        return len(self._shown)

    @property
    def charge(self) -> float:
        """Nats that the unknown token costs beside its own probability, which is spread evenly over all characters
        that are not in the alphabet. So the probabilities of all texts still sum to one."""
        return math.log(CODE_POINTS - len(self._codes))

    def special(self, name: str) -> int:
        """The number of a special token.

        Raises:
            ValueError: there is none of this name.
        """
        if name not in self._specials:
            raise ValueError(f"{name} is none of the alphabet's specials")
        return 2 + self._specials.index(name)

    def piece(self, number: int) -> bytes:
        """The character of a number in UTF-8; none of padding and specials."""
        return self._shown[number].encode()

    def encode(self, text: str) -> np.ndarray:
        """The numbers of a text's characters, (T,) int32."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        if not len(self._codes):
            return np.full(len(codes), UNKNOWN, dtype="int32")
        place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        known = self._codes[place] == codes
        return np.where(known, place + 2 + len(self._specials), UNKNOWN).astype("int32")

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Those of many texts."""
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these numbers, specials left out; an unknown character becomes U+FFFD."""
        return "".join(self._shown[number] for number in ids)

    def __getstate__(self) -> dict[str, str]:
        return {"json": self.json}
