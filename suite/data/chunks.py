"""Many texts cut into pieces, each distinct chunk of theirs once.

Texts repeat their words, and a tokenizer cuts each word by itself; so it is asked for the distinct words alone. What
comes out is what it gives for whole texts.

N pieces of all texts.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Cut(NamedTuple):
    """Texts in pieces, one after another.

    Args:
        ids: (N,) int32.
        offsets: (N, 2) int64 where each piece begins and ends in its text.
        ends: for each text how many pieces it has together with all before it.
    """

    ids: np.ndarray
    offsets: np.ndarray
    ends: np.ndarray


def cut(tokenizer: Tokenizer, texts: Sequence[str], *, split: Callable[[str], list[str]], gap: int) -> Cut:
    """Cuts texts by a tokenizer of the `tokenizers` library.

    Args:
        tokenizer: cuts each chunk as if nothing stood beside it.
        texts: without halves of surrogate pairs.
        split: a text -> its chunks, one at least.
        gap: how many characters lie between a chunk and the next.
    """
    known: dict[str, int] = {}
    numbers, counts = array("q"), array("q")  # of chunks
    for text in texts:
        chunks = split(text)
        counts.append(len(chunks))
        numbers.extend([known.setdefault(chunk, len(known)) for chunk in chunks])
    found = tokenizer.encode_batch(list(known), add_special_tokens=False)
    ids = [each.ids for each in found]
    chunk, per_text = np.asarray(numbers), np.asarray(counts)
    sizes = np.array([len(each) for each in ids], dtype="int64")  # pieces of each distinct chunk
    widths = np.array([len(each) + gap for each in known], dtype="int64")
    mine = sizes[chunk]
    place = np.repeat(_before(sizes)[chunk] - _before(mine), mine) + np.arange(mine.sum())  # (N,) in distinct chunks
    begins = _before(widths[chunk])
    first = np.cumsum(per_text) - per_text
    begins -= np.repeat(begins[first], per_text)  # of each chunk in its text
    offsets = np.array([pair for each in found for pair in each.offsets], dtype="int64").reshape(-1, 2)
    return Cut(
        np.array([number for each in ids for number in each], dtype="int32")[place],
        offsets[place] + np.repeat(begins, mine)[:, None],
        np.cumsum(mine)[first + per_text - 1],
    )


def _before(counts: np.ndarray) -> np.ndarray:
    return np.cumsum(counts) - counts
