"""Translation: a text in one language, written again in another.

One example:

    source  Anna has to get up at five forty-two in the morning on Tuesday.
    target  Am Dienstag muss Anna um fünf Uhr zweiundvierzig aufstehen.

The score is sacreBLEU of the text as it is written (Post 2018), from 0 to 100, as are chrF and the tokenised,
lower-cased BLEU that stands beside it; exact match is a fraction. The two BLEUs are never compared with each other.

Both languages are cut into pieces by one tokenizer, learned on training texts alone, which no text is unknown to. In
training the model predicts each piece of the target from the source and the right pieces before it; a beam search then
writes. The epoch with the lowest loss on validation is kept.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from suite import writing as written
from suite.baselines import translation as baselines
from suite.config import Table
from suite.data import bpe, parallel
from suite.data import words as counting
from suite.errors import InputError
from suite.metrics import translation as metrics
from suite.task import Answer, Architecture, Array, Encoded, Evaluation, Example, Spec, Task, Writing

if TYPE_CHECKING:
    import keras

    from suite.data.batching import Batches
    from suite.decoding import Hypothesis, Strategy

START, END = "[START]", "[END]"

TOGETHER = 64
"""The most texts that are translated at once."""

WATCHED = 64
"""How many validation texts are translated after each epoch, for the history alone."""


class Features(Table):
    """`[features]`: what every architecture reads and writes, and how it is decoded."""

    vocabulary: int = Field(1000, gt=259, description="pieces of both languages, 256 bytes among them")
    max_length: int = Field(256, gt=1, description="pieces of a text; a longer one loses its end")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of the source's features dropped before the encoder")
    token_dropout: float = Field(0.0, ge=0, lt=1, description="share of training pieces that are read as unknown")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="share of the target that all pieces share evenly")
    beam: int = Field(4, gt=0, description="size of the beam search; 1 is greedy")
    length_penalty: float = Field(0.6, ge=0, description="0 favours short translations")


def example(fields: Mapping[str, str]) -> Example:
    """A source as typed."""
    if not fields["source"].strip():
        raise InputError("the source is empty; expected a text")
    return {"source": fields["source"].strip()}


def labels(example: Example) -> list[str]:
    """None: translations have no classes."""
    return []


def groups(examples: Sequence[Example]) -> list[str]:
    """Translations of one text stay together."""
    return [example["source"] for example in examples]


def spec(train: Sequence[Example], features: Features) -> Spec:
    """A tokenizer of the training texts of both languages, and how long translations are."""
    texts = [_spaced(example[side]) for example in train for side in ("source", "target")]
    tokenizer = bpe.train(texts, size=features.vocabulary, specials=(START, END))
    pieces = bpe.Pieces(tokenizer)
    if features.beam > pieces.size:
        raise InputError(f"features.beam {features.beam}: more than the {pieces.size:,} pieces of the vocabulary")
    sizes = [len(found) + 1 for found in pieces.encode_many(texts)]
    ratio = float(np.quantile(np.array(sizes[1::2]) / np.array(sizes[::2]), 0.99))
    limits = ("max_length", "beam", "length_penalty")
    return Spec(
        inputs={name: Array((None,), "int32") for name in ("source", "target")},
        target=Array((None,), "int32"),
        sizes={"pieces": pieces.size},
        preprocessing={
            "tokenizer": tokenizer,
            "ratio": ratio,
            **{name: getattr(features, name) for name in limits},
        },
    )


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Pieces of the source with a mark at its end; those of the target with a mark at its start; those to predict."""
    pieces, limit = bpe.Pieces(spec.preprocessing["tokenizer"]), spec.preprocessing["max_length"]
    start, end = (np.array([pieces.special(name)], dtype="int32") for name in (START, END))
    sides = {
        side: pieces.encode_many([_spaced(example.get(side, "")) for example in examples])
        for side in ("source", "target")
    }
    longer = {side: sum(len(found) >= limit for found in sides[side]) for side in sides}
    return Encoded(
        inputs={
            "source": [np.concatenate([found[: limit - 1], end]) for found in sides["source"]],
            "target": [np.concatenate([start, found])[:limit] for found in sides["target"]],
        },
        targets=[np.concatenate([found, end])[:limit] for found in sides["target"]],
        notes=tuple(
            f"{count:,} texts of the {side} are longer than {limit - 1:,} pieces and lose their end"
            for side, count in longer.items()
            if count
        ),
    )


def _spaced(text: str) -> str:
    """With a blank before it, so that a word at the beginning is cut as it is elsewhere."""
    return f" {text.strip()}" if text.strip() else ""


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """A translator: embeddings, the architecture's encoder and decoder, logits over the pieces."""
    from suite.heads import translation

    if architecture.decode is None:
        raise InputError("this architecture writes no texts: it has no decoder; see `python -m suite list`")
    return translation.translator(
        spec, dropout=features.dropout, token_dropout=features.token_dropout, architecture=architecture
    )


def loss(features: Features) -> keras.Loss:
    """Cross-entropy of each piece of the target, averaged over all of them in a batch."""
    from suite.losses import CrossEntropy

    return CrossEntropy(label_smoothing=features.label_smoothing)


def infer(model: keras.Model, batches: Batches, spec: Spec) -> list[list[int]]:
    """The pieces of each translation, by beam search."""
    from suite.decoding import Beam

    strategy = Beam(spec.preprocessing["beam"], length_penalty=spec.preprocessing["length_penalty"])
    sources = batches.encoded.inputs["source"]
    return [found[0].tokens for found in _translated(model, sources, spec, strategy)]


def watch(model: keras.Model, batches: Batches, examples: Sequence[Example], spec: Spec) -> dict[str, float]:
    """Nats a piece over all pieces of validation, and sacreBLEU of some of it, translated greedily."""
    from suite.decoding import Greedy
    from suite.heads import translation

    total = count = 0.0
    for index in range(len(batches)):
        batch = batches[index]
        nats = translation.nats(model, batch.inputs["source"], batch.inputs["target"], batch.targets)
        total += float((nats * batch.weights).sum(dtype="float64"))
        count += float(batch.weights.sum(dtype="float64"))
    sources = list(batches.encoded.inputs["source"][:WATCHED])
    found = [row[0].tokens for row in _translated(model, sources, spec, Greedy(), together=True)]
    texts = decode(found, batches.encoded, spec)
    right = [example["target"] for example in examples[:WATCHED]]
    return {"loss": total / count, "bleu": metrics.bleu(texts, right)}


def decode(outputs: Sequence[Sequence[int]], encoded: Encoded, spec: Spec) -> list[str]:
    """The translations as texts."""
    pieces = bpe.Pieces(spec.preprocessing["tokenizer"])
    return [pieces.decode(ids).strip() for ids in outputs]


def evaluate(predictions: Sequence[str], examples: Sequence[Example]) -> Evaluation:
    """The scores, and for each example what was given and what is right."""
    right = [example["target"] for example in examples]
    language = Counter(example.get("language", "") for example in examples).most_common(1)[0][0]
    found = metrics.score(predictions, right, language=language)
    outcomes = [
        {
            "source": example["source"],
            "given": given,
            "right": example["target"],
            "exact": metrics.matches(given, example["target"]),
            "chrf": metrics.sentence_chrf(given, example["target"]),
        }
        for given, example in zip(predictions, examples, strict=True)
    ]
    return Evaluation(found.values, outcomes, note=found.signature)


def words(example: Example) -> list[str]:
    """The words of the source."""
    return counting.words(example["source"])


def slices(example: Example, known: Container[str] | None) -> dict[str, str]:
    """How many words of the source training never had in a source."""
    return counting.unknown(words(example), known)


def show(prediction: str, example: Example, top: int) -> list[Answer]:
    """The translation."""
    return [{"answer": prediction, "probability": None}]


def write(model: keras.Model, examples: Sequence[Example], spec: Spec, writing: Writing) -> list[list[Answer]]:
    """The best translations of each source, or drawn ones where something is said of how to draw."""
    strategy, rows = _strategy(spec, writing)
    encoded = encode(examples, spec)
    limit, pieces = spec.preprocessing["max_length"], bpe.Pieces(spec.preprocessing["tokenizer"])
    for number, example in enumerate(examples, start=1):
        size = len(pieces.encode(_spaced(example["source"])))
        if size >= limit:
            raise InputError(
                f"input {number} has {size:,} pieces, and this model reads at most {limit - 1:,}: "
                f"give it in sentences, one a line"
            )
    sources = [source for source in encoded.inputs["source"] for _ in range(rows)]
    found = _translated(model, sources, spec, strategy, max_tokens=writing.max_tokens, seed=writing.seed)
    answers = []
    for first in range(0, len(found), rows):
        hypotheses = [each for row in found[first : first + rows] for each in row]
        best = sorted(hypotheses, key=lambda each: -each.score)[: writing.n_best]
        answers.append([_answer(hypothesis, pieces, writing.stop) for hypothesis in best])
    return answers


def _strategy(spec: Spec, writing: Writing) -> tuple[Strategy, int]:
    """How to write, and how often each source has to be translated for it.

    Raises:
        InputError: a number out of its range, or two wishes that exclude each other.
    """
    from suite.decoding import Beam, Greedy, Sample

    drawing = {name: getattr(writing, name) for name in ("top_k", "top_p", "min_p", "repetition_penalty")}
    drawing = {name: value for name, value in drawing.items() if value is not None}
    if writing.temperature is None and not drawing and writing.beam is None:
        writing = dataclasses.replace(writing, beam=max(spec.preprocessing["beam"], writing.n_best))
    written.settled(dataclasses.replace(writing, coverage_penalty=None))
    if writing.beam is None:
        if writing.coverage_penalty is not None:
            raise InputError("--coverage-penalty is of a beam search: give --beam as well")
        if writing.temperature == 0:
            if set(drawing) - {"repetition_penalty"}:
                raise InputError("--temperature 0 draws nothing: leave out --top-k, --top-p and --min-p")
            return Greedy(**drawing), 1
        return Sample(
            temperature=1.0 if writing.temperature is None else writing.temperature, **drawing
        ), writing.n_best
    if writing.beam > spec.sizes["pieces"]:
        raise InputError(f"--beam {writing.beam}: more than the {spec.sizes['pieces']:,} pieces of the vocabulary")
    penalty = spec.preprocessing["length_penalty"] if writing.length_penalty is None else writing.length_penalty
    coverage = {} if writing.coverage_penalty is None else {"coverage_penalty": writing.coverage_penalty}
    return Beam(writing.beam, length_penalty=penalty, n_best=writing.n_best, **coverage), 1


def _answer(hypothesis: Hypothesis, pieces: bpe.Pieces, stop: Sequence[str]) -> Answer:
    """A translation as an answer; what comes after a text that stops it is cut off."""
    text, why = pieces.decode(hypothesis.tokens).strip(), hypothesis.why
    places = [place for place in (text.find(each) for each in stop if each) if place >= 0]
    if places:
        text, why = text[: min(places)].rstrip(), "stop"
    return written.answer(text, log_probability=hypothesis.log_probability, score=hypothesis.score, why=why)


def _translated(
    model: keras.Model,
    sources: Sequence[np.ndarray],
    spec: Spec,
    strategy: Strategy,
    *,
    max_tokens: int | None = None,
    seed: int = 0,
    together: bool = False,
) -> list[list[Hypothesis]]:
    """The translations of each source, the best first.

    What comes out for one does not depend on the others, unless it is drawn. Sources of like lengths go together, in
    few shapes, each of which is compiled.

    Args:
        model: a translator.
        sources: the pieces of each.
        spec: its specification.
        strategy: how to write.
        max_tokens: the most pieces of a translation; by default more than nearly all of training had at this length.
        seed: of what is drawn.
        together: all at once, in one shape.
    """
    from suite.decoding import generate
    from suite.heads import translation

    pieces, decoder = bpe.Pieces(spec.preprocessing["tokenizer"]), model.get_layer("language_model")
    start, end = pieces.special(START), pieces.special(END)
    found: list[list[Hypothesis]] = [[]] * len(sources)
    for length, rows in _shapes([len(source) for source in sources], together=together):
        source = np.zeros((len(rows), length), dtype="int32")
        for place, row in zip(source, rows, strict=True):
            place[: len(sources[row])] = sources[row]
        limit = max_tokens
        if limit is None:
            limit = min(int(spec.preprocessing["ratio"] * length) + 8, decoder.longest or 2**31)
        generated = generate(
            decoder,
            [[start]] * len(rows),
            max_tokens=limit,
            strategy=strategy,
            stop=end,
            memory=translation.memory(model, source),
            memory_mask=source != 0,
            seed=seed,
        )
        for row, hypotheses in zip(rows, generated.hypotheses, strict=True):
            found[row] = hypotheses
    return found


def _shapes(lengths: Sequence[int], *, together: bool) -> Iterator[tuple[int, list[int]]]:
    """Batches of few shapes: the length of each, and its rows, of which some may stand twice to fill it."""
    groups: defaultdict[int, list[int]] = defaultdict(list)
    longest = max(lengths, default=0)
    for row, length in enumerate(lengths):
        groups[longest if together else _bucket(length)].append(row)
    for length, rows in sorted(groups.items()):
        size = min(TOGETHER, 1 << (len(rows) - 1).bit_length())
        for begin in range(0, len(rows), size):
            batch = rows[begin : begin + size]
            yield length, batch + batch[:1] * (size - len(batch))


def _bucket(length: int) -> int:
    """The next of 16, 32, 48, 64, 96, 128, 192 ..., for each of which a program is compiled."""
    if length <= 32:
        return 16 if length <= 16 else 32
    power = 1 << (length - 1).bit_length()
    return power * 3 // 4 if length <= power * 3 // 4 else power


TASK = Task(
    name="translation",
    schema=parallel.SCHEMA,
    fields=("source",),
    metric="bleu",
    version=1,
    settings=Features,
    read=parallel.read,
    example=example,
    labels=labels,
    groups=groups,
    spec=spec,
    encode=encode,
    build=build,
    loss=loss,
    infer=infer,
    watch=watch,
    selects="loss",
    causal="target",
    decode=decode,
    evaluate=evaluate,
    words=words,
    slices=slices,
    show=show,
    write=write,
    baselines={"classic": baselines.dictionary, "majority": baselines.copy},
    lower_is_better=frozenset({"loss"}),
)
