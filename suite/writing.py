"""What all models that continue a text share: how it is drawn if nobody says how, and where it ends."""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from suite.errors import InputError

if TYPE_CHECKING:
    from suite.data.stream import Tokenizer
    from suite.task import Writing

MAX_TOKENS = 200
TEMPERATURE = 0.8

_LIMITS = {  # name -> what it must be, whether a value is
    "max_tokens": ("at least 0", lambda value: value >= 0),
    "beam": ("at least 1", lambda value: value >= 1),
    "length_penalty": ("at least 0", lambda value: value >= 0),
    "temperature": ("at least 0", lambda value: value >= 0),
    "top_k": ("at least 1", lambda value: value >= 1),
    "top_p": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    "min_p": ("above 0 and at most 1", lambda value: 0 < value <= 1),
    "repetition_penalty": ("above 0", lambda value: value > 0),
    "n_best": ("at least 1", lambda value: value >= 1),
}
_DRAWN = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def settled(writing: Writing, *, beams: bool = True) -> Writing:
    """What a person said, completed: without a beam tokens are drawn.

    Args:
        writing: what was said.
        beams: whether the model has a beam search.

    Raises:
        InputError: a number out of its range, or two wishes that exclude each other.
    """
    for name, (expected, holds) in _LIMITS.items():
        value = getattr(writing, name)
        if value is not None and not holds(value):
            raise InputError(f"{_flag(name)} is {expected}. Received: {value}")
    if writing.coverage_penalty:
        raise InputError("--coverage-penalty: a continuation has no source that it could cover")
    if writing.beam is None and writing.length_penalty is not None:
        raise InputError("--length-penalty is of a beam search: give --beam as well")
    if writing.beam is not None:
        if not beams:
            raise InputError("--beam: this model draws token after token, and has no beam search")
        for name in _DRAWN:
            if getattr(writing, name) is not None:
                raise InputError(f"--beam and {_flag(name)}: a beam search draws nothing; give one of them")
        if writing.n_best > writing.beam:
            raise InputError(f"--top {writing.n_best} is more than --beam {writing.beam} finds")
    temperature = TEMPERATURE if writing.temperature is None and writing.beam is None else writing.temperature
    max_tokens = MAX_TOKENS if writing.max_tokens is None else writing.max_tokens
    return dataclasses.replace(writing, temperature=temperature, max_tokens=max_tokens)


def answer(text: str, *, log_probability: float, why: str, score: float | None = None) -> dict[str, Any]:
    """A written text as an answer; see `suite.task.Task.write`."""
    return {
        "answer": text,
        "probability": None,
        "score": log_probability if score is None else score,
        "log_probability": log_probability,
        "why": why,
    }


class Ending:
    r"""A text that grows token by token, until one of the texts that stop it stands in it.

    What may turn out to be the beginning of a stop text, or of a character, is held back until it is certain. The stop
    text does not belong to the text.

    Args:
        tokenizer: knows the bytes of a token.
        stop: texts that end it; empty ones are not looked for.

    Example:

    >>> from suite.data.characters import Characters, train
    >>> characters = Characters(train(["abc.\n"], size=9))
    >>> ending = Ending(characters, ["\n\n"])
    >>> [ending.add(token) for token in characters.encode("ab\nc\n\na")], ending.done
    (['a', 'b', '', '\nc', '', '', ''], True)
    """

    def __init__(self, tokenizer: Tokenizer, stop: Iterable[str] = ()):
        self.tokenizer = tokenizer
        self.stop = tuple(filter(None, stop))
        self.done = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def add(self, token: int) -> str:
        """The text that is certain with one more token; nothing more once it is done."""
        return "" if self.done else self._told(self._decoder.decode(self.tokenizer.piece(int(token))))

    def close(self) -> str:
        """What was held back, where no token follows."""
        if self.done:
            return ""
        text = self._told(self._decoder.decode(b"", final=True))
        rest, self._held = self._held, ""
        self.done = True
        return text + rest

    def _told(self, text: str) -> str:
        self._held += text
        found = [place for place in map(self._held.find, self.stop) if place >= 0]
        if found:
            self.done = True
            told, self._held = self._held[: min(found)], ""
            return told
        keep = max((_beginning(self._held, stop) for stop in self.stop), default=0)
        end = len(self._held) - keep
        told, self._held = self._held[:end], self._held[end:]
        return told


def _beginning(text: str, stop: str) -> int:
    """How many characters at the end of a text are a beginning of the stop text."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)


def _flag(name: str) -> str:
    return "--top" if name == "n_best" else f"--{name.replace('_', '-')}"
