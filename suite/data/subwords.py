"""Words cut into frequent pieces: Hugging Face tokenizers, trained on training texts alone.

0 is padding and 1 is everything unknown, in every vocabulary. Offsets count characters of the text as it was given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from suite.data import cache, chunks

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PADDING, UNKNOWN = "[PAD]", "[UNK]"
CONTINUED = "##"  # begins a piece that does not begin a word

_CODE = (__file__, chunks.__file__)


class Pieces(NamedTuple):
    """A text in pieces.

    Args:
        ids: (T,) int32.
        offsets: (T, 2) where each piece begins and ends in the text: ``text[begin:end]``.
    """

    ids: np.ndarray
    offsets: np.ndarray


def train(texts: Iterable[str], *, size: int, lowercase: bool = True, specials: Sequence[str] = ()) -> str:
    """Learns pieces from texts and gives a tokenizer as JSON, for `Subwords`.

    WordPiece over words and punctuation marks, its pieces joined in the order of byte-pair encoding. Text is brought
    into the normal form NFKC first. The same texts give the same tokenizer.

    Args:
        texts: training texts.
        size: the most pieces that the vocabulary may have, padding, unknown and specials among them; more only where
            the texts have so many different characters.
        lowercase: whether capitals are read as small letters.
        specials: further tokens that no text contains, such as ``"[SEP]"``; see `Subwords.special`.

    Reference: Schuster and Nakajima 2012, "Japanese and Korean voice search"; Sennrich et al. 2016,
    https://arxiv.org/abs/1508.07909.
    """
    texts = list(texts)
    settings = json.dumps(["train", size, lowercase, list(specials)])
    return cache.remembered_text(lambda: _train(texts, size, lowercase, specials), texts, settings=settings, code=_CODE)


def _train(texts: Sequence[str], size: int, lowercase: bool, specials: Sequence[str]) -> str:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN, continuing_subword_prefix=CONTINUED))
    steps = [normalizers.NFKC(), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    words = {word for text in texts for word in _words(text)}
    characters = sorted({character for word in words for character in tokenizer.normalizer.normalize_str(word)})
    # Pieces of one character get their numbers here: the trainer would number them in any order, and ties between
    # pairs of pieces go by their numbers.
    inside = [CONTINUED + character for character in characters if not character.isspace()]
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(size, len(specials) + 2 * len(inside)),
        special_tokens=[PADDING, UNKNOWN, *specials, *inside],
        continuing_subword_prefix=CONTINUED,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # No text may spell a special token.
    return json.dumps({**json.loads(tokenizer.to_str()), "added_tokens": []}, ensure_ascii=False)


class Subwords:
    """A trained tokenizer.

    Args:
        json: what `train` gave.

    Example:

    >>> subwords = Subwords(train(["low lower lowest"] * 9, size=40))
    >>> ids, offsets = subwords.encode("Lower LOW")
    >>> ["Lower LOW"[begin:end] for begin, end in offsets]
    ['Lower', 'LOW']
    """

    def __init__(self, json: str) -> None:
        self.json = json

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        return Tokenizer.from_str(self.json)

    @property
    def size(self) -> int:
        """How many pieces there are, padding, unknown and specials among them."""
        return self._tokenizer.get_vocab_size()

    def special(self, token: str) -> int:
        """The number of a special token.

        Raises:
            ValueError: the tokenizer was trained without it.
        """
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"{token} is none of the tokenizer's specials")
        return number

    def piece(self, number: int) -> str:
        """The piece of this number, as in the vocabulary."""
        return self._tokenizer.id_to_token(number) or UNKNOWN

    def encode(self, text: str) -> Pieces:
        """The text in pieces; an empty text, and one of blanks alone, has none."""
        return self.encode_many([text])[0]

    def encode_many(self, texts: Sequence[str]) -> list[Pieces]:
        """Many texts in pieces."""
        made = cache.remembered(lambda: self._cut(texts), texts, settings=f"encode {self.json}", code=_CODE)
        ids, offsets = made["ids"], made["offsets"]
        return [Pieces(ids[begin:end], offsets[begin:end]) for begin, end in pairwise([0, *made["ends"].tolist()])]

    def _cut(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        # What stands for half a character in some files cannot be given to the tokenizer; a replacement of the same
        # length can.
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        return chunks.cut(self._tokenizer, clean, split=_words, gap=1)._asdict()

    def __getstate__(self) -> dict[str, str]:
        return {"json": self.json}


def _words(text: str) -> list[str]:
    """What stands between single blanks. No piece lies across a blank, nor does any normal form."""
    return text.split(" ")
