"""How a language model goes on with prompts: whole texts, or one piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from suite import writing
from suite.data.stream import START, Tokenizer
from suite.errors import InputError

if TYPE_CHECKING:
    from suite.decoding import Hypothesis, Strategy
    from suite.layers import LanguageModel
    from suite.task import Answer, Writing


class Writer:
    """A language model that goes on with prompts as somebody wants it to.

    Args:
        layer: the model.
        tokenizer: whose tokens it reads.
        wanted: how many tokens, drawn or searched how, ended by what.

    Raises:
        InputError: numbers out of their range, wishes that exclude each other, or a beam wider than the vocabulary.
    """

    def __init__(self, layer: LanguageModel, tokenizer: Tokenizer, wanted: Writing):
        self.layer = layer
        self.tokenizer = tokenizer
        self.wanted = writing.settled(wanted)
        self.start = tokenizer.special(START)
        self.max_tokens = self.wanted.max_tokens or 0
        if (self.wanted.beam or 0) > tokenizer.size:
            raise InputError(f"--beam {self.wanted.beam} is more than the vocabulary's {tokenizer.size} tokens")

    def write(self, prompts: Sequence[str]) -> list[list[Answer]]:
        """For each prompt the texts that follow, the best first. Another order of the prompts draws other tokens.

        Raises:
            InputError: a prompt leaves too little of the model's positions.
        """
        from suite.decoding import generate

        copies = 1 if self.wanted.beam else self.wanted.n_best
        read = [self._tokens(prompt) for prompt in prompts]
        found = generate(
            self.layer,
            [tokens for tokens in read for _ in range(copies)],
            max_tokens=self.max_tokens,
            strategy=self._strategy(),
            stop=self.start,
            seed=self.wanted.seed,
        )
        answers = []
        for number, tokens in enumerate(read):
            rows = [row for rows in found.hypotheses[number * copies : (number + 1) * copies] for row in rows]
            answers.append(sorted((self._answer(tokens, row) for row in rows), key=lambda each: -each["score"]))
        return answers

    def stream(self, prompt: str) -> Iterator[str]:
        """The pieces of the text that `write` gives for this prompt alone, as they come."""
        from suite import decoding

        if self.wanted.beam:  # which knows its text at the end alone
            yield self.write([prompt])[0][0]["answer"]
            return
        ending = writing.Ending(self.tokenizer, self.wanted.stop)
        steps = decoding.stream(
            self.layer,
            [self._tokens(prompt)],
            max_tokens=self.max_tokens,
            strategy=self._strategy(),
            stop=self.start,
            seed=self.wanted.seed,
        )
        for [token] in steps:
            if token is not None and (text := ending.add(token)):
                yield text
            if ending.done:
                return
        if text := ending.close():
            yield text

    def _tokens(self, prompt: str) -> list[int]:
        """A prompt's tokens, the start token before them."""
        tokens = [self.start, *self.tokenizer.encode(prompt).tolist()]
        longest = self.layer.longest
        if longest is not None and self.max_tokens and len(tokens) + self.max_tokens - 1 > longest:
            raise InputError(
                f"this model learned a table of {longest} positions, and cannot go beyond it: a prompt of "
                f"{len(tokens) - 1} tokens and its start leave room for {max(0, longest - len(tokens) + 1)}, and "
                f"--max-tokens is {self.max_tokens}; one with rotary, ALiBi or relative positions has no such limit"
            )
        return tokens

    def _strategy(self) -> Strategy:
        from suite.decoding import Beam, Greedy, Sample

        wanted = self.wanted
        if wanted.beam:
            return Beam(wanted.beam, length_penalty=wanted.length_penalty or 0.0, n_best=wanted.n_best)
        penalty = wanted.repetition_penalty or 1.0
        if not wanted.temperature:
            return Greedy(repetition_penalty=penalty)
        return Sample(
            temperature=wanted.temperature,
            top_k=wanted.top_k,
            top_p=wanted.top_p,
            min_p=wanted.min_p,
            repetition_penalty=penalty,
        )

    def _answer(self, prompt: Sequence[int], row: Hypothesis) -> Answer:
        """A hypothesis as an answer, cut where a stop text stands."""
        ending, text = writing.Ending(self.tokenizer, self.wanted.stop), ""
        for used, token in enumerate(row.tokens, start=1):
            text += ending.add(token)
            if ending.done:
                score = self._log_probability(prompt, row.tokens[:used])
                return writing.answer(text, log_probability=score, why="stop")
        text += ending.close()
        return writing.answer(text, log_probability=row.log_probability, score=row.score, why=row.why)

    def _log_probability(self, prompt: Sequence[int], tokens: Sequence[int]) -> float:
        from suite.heads import generation

        row: Any = np.array([*prompt, *tokens])
        nats, _ = generation.read(self.layer, row[:-1], row[1:], context=len(row) - 1, overlap=0)
        return -float(nats[len(prompt) - 1 :].sum(dtype="float64"))
