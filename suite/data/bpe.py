"""Texts cut into frequent runs of bytes, from which every text can be put together again exactly.

Byte-pair encoding over the bytes of UTF-8, learned by Hugging Face tokenizers on training texts alone. All 256 bytes
are pieces, so no text is unknown and nothing is normalised. 0 is padding, 1 stands for the unknown and is never used,
further specials follow from 2 on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from suite.data import cache, chunks

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PADDING, UNKNOWN = "[PAD]", "[UNK]"

_WORD = re.compile(r"(?<! )(?= \S)")  # before the blank of a word; no piece lies across it, unless blanks go before
_CODE = (__file__, chunks.__file__)


def train(texts: Iterable[str], *, size: int, specials: Sequence[str] = ()) -> str:
    """Learns pieces from texts and gives a tokenizer as JSON, for `Pieces`. The same texts give the same tokenizer.

    A piece lies within a word with the blank before it, a number, a run of punctuation or of blanks, as in GPT-2.

    Args:
        texts: training texts.
        size: the most pieces that there may be, padding, unknown and specials among them; more only where it is too
            small for these and the 256 bytes.
        specials: further tokens that no text contains, such as ``"[END]"``; see `Pieces.special`.

    Reference: Sennrich et al. 2016, https://arxiv.org/abs/1508.07909; Radford et al. 2019, "Language models are
    unsupervised multitask learners", section 2.2 (over bytes).
    """
    texts = list(texts)
    settings = json.dumps(["train", size, list(specials)])
    return cache.remembered_text(lambda: _train(texts, size, specials), texts, settings=settings, code=_CODE)


def _train(texts: Sequence[str], size: int, specials: Sequence[str]) -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[_inside(name) for name in (PADDING, UNKNOWN, *specials)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((_clean(text) for text in texts), trainer)
    return json.dumps({**json.loads(tokenizer.to_str()), "added_tokens": []}, ensure_ascii=False)


class Pieces:
    """A trained tokenizer.

    Args:
        json: what `train` gave.

    Example:

    >>> pieces = Pieces(train(["low lower lowest"] * 9, size=270))
    >>> ids = pieces.encode("slow \U0001f422")
    >>> [pieces.piece(number) for number in ids]
    [b's', b'low', b' ', b'\\xf0', b'\\x9f', b'\\x90', b'\\xa2']
    >>> pieces.decode(ids) == "slow \U0001f422"
    True
    """

    def __init__(self, json: str) -> None:
        self.json = json

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.json)

    @cached_property
    def _bytes(self) -> list[bytes]:
        """The bytes of each piece; none of padding, unknown and specials."""
        byte_of = {character: byte for byte, character in enumerate(_characters())}
        found = [b""] * self.size
        for piece, number in self._tokenizer.get_vocab().items():
            if " " not in piece:
                found[number] = bytes(byte_of[character] for character in piece)
        return found

    @property
    def size(self) -> int:
        """How many pieces there are, padding, unknown and specials among them."""
        return self._tokenizer.get_vocab_size()

    @property
    def charge(self) -> float:
        """Nats that the unknown token costs beside its own probability: none, for no text has it."""
        return 0.0

    def special(self, name: str) -> int:
        """The number of a special token.

        Raises:
            ValueError: the tokenizer was trained without it.
        """
        number = self._tokenizer.token_to_id(_inside(name))
        if number is None:
            raise ValueError(f"{name} is none of the tokenizer's specials")
        return number

    def piece(self, number: int) -> bytes:
        """The bytes of a piece; none of a special one."""
        return self._bytes[number]

    def encode(self, text: str) -> np.ndarray:
        """The numbers of a text's pieces, (T,) int32; an empty text has none."""
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Those of many texts."""
        made = cache.remembered(lambda: self._cut(texts), texts, settings=f"encode {self.json}", code=_CODE)
        return [made["ids"][begin:end] for begin, end in pairwise([0, *made["ends"].tolist()])]

    def _cut(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        found = chunks.cut(self._tokenizer, [_clean(text) for text in texts], split=_WORD.split, gap=0)
        return {"ids": found.ids, "ends": found.ends}

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these pieces, specials left out: the exact inverse of `encode`.

        Bytes that are no character, where the pieces end within one or were put together by a model, become U+FFFD.
        """
        return b"".join(self._bytes[number] for number in ids).decode("utf-8", "replace")

    def __getstate__(self) -> dict[str, Any]:
        return {"json": self.json}


def _inside(name: str) -> str:
    """A special token in the vocabulary: with a blank, which no piece of a text has there."""
    return f" {name}"


def _clean(text: str) -> str:
    """Half a surrogate pair, which is no character and which some files have, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _characters() -> list[str]:
    """The characters by which the vocabulary shows the bytes 0 to 255: printable ones stand for themselves."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
