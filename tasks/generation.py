"""Text generation: a model of running text, which says how likely each next token is, and so can go on with a text.

One example is a text:

    The "assert" statement
    **********************

    Assert statements are a convenient way to insert debugging assertions into a program: ...

The score is bits per character: how long the test texts are, in bits, as a code that the model makes, over their
characters. It is the same measure for characters and subwords, and for all vocabularies. A character that training did
not have costs the unknown token and, evenly spread, which of all other characters it is; so it stays a code for any
text. Which text begins where, and where it ends, is not counted.

Texts are read one after another, in windows side by side: each token is predicted once, from what stands before it in
its window. That is how nanoGPT measures its loss, over the whole split. `overlap` gives each token more to read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from suite.baselines import ngram
from suite.config import Table
from suite.data import prose, stream
from suite.errors import InputError
from suite.metrics import language as metrics
from suite.task import Answer, Architecture, Array, Encoded, Evaluation, Example, Spec, Task, Writing

if TYPE_CHECKING:
    import keras

    from suite.data.batching import Batches

UNKNOWN = 1
SAMPLES, SAMPLE_TOKENS = ngram.SAMPLES, ngram.SAMPLE_TOKENS  # of which the variety is scored


class Features(Table):
    """`[features]`: what every model reads of a text."""

    level: stream.Level = Field("subwords", description="characters, or subwords: frequent runs of bytes")
    vocabulary: int = Field(1000, gt=3, description="the most tokens that the tokenizer knows")
    context: int = Field(128, gt=0, description="tokens of a window, of which each predicts the next")
    overlap: int = Field(0, ge=0, description="tokens that windows share when they are scored, as context alone")
    token_dropout: float = Field(0.0, ge=0, lt=1, description="share of training tokens that are read as unknown")
    scale: bool = Field(False, description="multiply the vectors of tokens by the root of their width")

    @model_validator(mode="after")
    def _windows_go_on(self) -> Self:
        if self.overlap >= self.context:
            raise ValueError(f"windows of context {self.context} cannot overlap by {self.overlap}")
        return self


class Window(NamedTuple):
    """Where a window comes from.

    Args:
        owners: (T,) for each target the number of its example; -1 for a start token.
        examples: how many examples the split has.
    """

    owners: np.ndarray
    examples: int


class Read(NamedTuple):
    """What a model said of one window.

    Args:
        nats: (T,) what each of its targets cost.
        places: (T,) how many tokens of context each had.
        samples: texts that the model wrote, of the first window alone.
    """

    nats: np.ndarray
    places: np.ndarray
    samples: Sequence[str]


def example(fields: Mapping[str, str]) -> Example:
    """A prompt as typed; an empty one asks for a text from its beginning on."""
    return {"prompt": fields["prompt"]}


def labels(example: Example) -> list[str]:
    """None: a text has no classes."""
    return []


def spec(train: Sequence[Example], features: Features) -> Spec:
    """A tokenizer of the training texts.

    Raises:
        InputError: they are shorter than one window.
    """
    json = stream.learn([example["text"] for example in train], level=features.level, size=features.vocabulary)
    known = stream.tokenizer(json, level=features.level)
    total = len(stream.join(train, known).tokens)
    if total < features.context:
        raise InputError(
            f"the training texts have {total:,} tokens, fewer than one window of {features.context}: give more text, "
            f"or set a smaller features.context"
        )
    return Spec(
        inputs={"tokens": Array((None,), "int32")},
        target=Array((None,), "int32"),
        sizes={"tokens": known.size},
        preprocessing={
            "tokenizer": json,
            "level": features.level,
            "context": features.context,
            "overlap": features.overlap,
        },
    )


def tokenizer(spec: Spec) -> stream.Tokenizer:
    """The training texts' tokenizer."""
    return stream.tokenizer(spec.preprocessing["tokenizer"], level=spec.preprocessing["level"])


def encode(examples: Sequence[Example], spec: Spec) -> Encoded:
    """Windows of tokens, each with the tokens that follow; `origins` are of `Window`."""
    row = stream.join(examples, tokenizer(spec))
    return _windows(row, spec.preprocessing["context"], len(examples), offset=0)


def _windows(row: stream.Stream, context: int, examples: int, *, offset: int) -> Encoded:
    """The row, a ring, from an offset on; it can be cut again from any other."""
    tokens, targets = np.roll(row.tokens, -offset), np.roll(row.tokens, -offset - 1)
    owners = np.roll(row.owners, -offset - 1)
    cuts = [slice(start, start + context) for start in range(0, len(tokens), context)]

    def recut(random: np.random.Generator) -> Encoded:
        return _windows(row, context, examples, offset=int(random.integers(len(row.tokens))))

    return Encoded(
        inputs={"tokens": [tokens[cut] for cut in cuts]},
        targets=[targets[cut] for cut in cuts],
        lengths=[min(context, len(tokens))] * len(cuts),  # the last one is padded, rather than a shape of its own
        origins=[Window(owners[cut], examples) for cut in cuts],
        recut=recut,
    )


def build(spec: Spec, features: Features, architecture: Architecture) -> keras.Model:
    """A language model; the architecture's decoder between a table of tokens and its transpose."""
    from suite.heads import generation

    if architecture.decode is None:
        raise InputError("generation needs an architecture with a decoder; this one defines none")
    model = generation.generator(
        spec, token_dropout=features.token_dropout, scale=features.scale, architecture=architecture
    )
    longest = model.get_layer(generation.NAME).longest
    if longest is not None and longest < features.context:
        raise InputError(
            f"features.context {features.context} is more than the {longest} positions of the model's table: "
            f"set a larger table or a smaller context"
        )
    return model


def loss(features: Features) -> keras.Loss:
    """Cross-entropy, averaged over tokens."""
    from suite.losses import CrossEntropy

    return CrossEntropy()


def infer(model: keras.Model, batches: Batches, spec: Spec) -> list[Read]:
    """What each token costs the model, by windows, and texts that it writes."""
    from suite.decoding import Sample, generate
    from suite.heads import generation

    known, layer = tokenizer(spec), model.get_layer(generation.NAME)
    start = known.special(stream.START)
    room = SAMPLE_TOKENS if layer.longest is None else min(SAMPLE_TOKENS, layer.longest)
    drawn = generate(layer, [[start]] * SAMPLES, max_tokens=room, strategy=Sample(temperature=1.0), stop=start, seed=0)
    samples = [known.decode(tokens) for tokens in drawn.tokens]
    found = _read(model, batches.encoded, spec)
    return [Read(nats, places, samples if number == 0 else ()) for number, (nats, places) in enumerate(found)]


def _read(model: keras.Model, encoded: Encoded, spec: Spec) -> list[tuple[np.ndarray, np.ndarray]]:
    from suite.heads import generation

    if not len(encoded):
        return []
    targets = np.concatenate(list(encoded.targets))
    nats, places = generation.read(
        model.get_layer(generation.NAME),
        np.concatenate(list(encoded.inputs["tokens"])),
        targets,
        context=spec.preprocessing["context"],
        overlap=spec.preprocessing["overlap"],
    )
    nats = nats + np.where(targets == UNKNOWN, tokenizer(spec).charge, 0.0)
    ends = np.cumsum([len(each) for each in encoded.targets])[:-1]
    return list(zip(np.split(nats, ends), np.split(places, ends), strict=True))


def watch(model: keras.Model, batches: Batches, examples: Sequence[Example], spec: Spec) -> dict[str, float]:
    """Loss and bits per character of the whole validation split."""
    found = _read(model, batches.encoded, spec)
    nats = [each[window.owners >= 0] for (each, _), window in zip(found, batches.encoded.origins, strict=True)]
    return {
        "loss": metrics.loss(nats),
        "bits_per_character": metrics.bits_per_character(nats, sum(len(each["text"]) for each in examples)),
    }


def decode(outputs: Sequence[Read], encoded: Encoded, spec: Spec) -> list[dict[str, Any]]:
    """For each example the nats and places of its tokens; the first one has the samples beside."""
    owners = np.concatenate([window.owners for window in encoded.origins])
    parts = [
        stream.by_example(
            np.concatenate([getattr(each, name) for each in outputs]), owners, encoded.origins[0].examples
        )
        for name in ("nats", "places")
    ]
    samples = [sample for each in outputs for sample in each.samples]
    return [
        {"nats": nats, "place": place, "samples": [] if number else samples}
        for number, (nats, place) in enumerate(zip(*parts, strict=True))
    ]


def evaluate(predictions: Sequence[Mapping[str, Any]], examples: Sequence[Example]) -> Evaluation:
    """The scores over all tokens of all texts, and for each text what it cost."""
    nats = [prediction["nats"] for prediction in predictions]
    samples = [sample for prediction in predictions for sample in prediction["samples"]]
    characters = [len(example["text"]) for example in examples]
    scores = {
        "bits_per_character": metrics.bits_per_character(nats, sum(characters)),
        "loss": metrics.loss(nats),
        "perplexity": metrics.perplexity(nats),
        **{f"distinct_{size}": metrics.distinct(samples, size) for size in (1, 2, 3)},
    }
    outcomes = []
    for each, example, length in zip(nats, examples, characters, strict=True):
        cost = math.fsum(each.tolist())
        outcomes.append(
            {
                **{key: example[key] for key in ("topic", "path", "piece") if key in example},
                "characters": length,
                "tokens": len(each),
                "nats": cost,
                "bits_per_character": cost / math.log(2) / length if length else 0.0,
            }
        )
    files = {"samples.txt": "".join(f"{sample}\n{'-' * 40}\n" for sample in samples)}
    if all("place" in prediction for prediction in predictions):
        table = metrics.by_position(nats, [prediction["place"] for prediction in predictions])
        lines = [f"{position},{tokens},{mean:.6f}\n" for position, tokens, mean in table]
        files["loss_by_position.csv"] = "position,tokens,loss\n" + "".join(lines)
    note = f"{sum(map(len, nats)):,} tokens of {sum(characters):,} characters"
    return Evaluation(scores, outcomes, note=note, files=files)


def show(prediction: Mapping[str, Any], example: Example, top: int) -> list[Answer]:
    """What the text costs, in bits; texts are written by `write`."""
    bits = float(np.sum(prediction["nats"])) / math.log(2)
    return [{"answer": f"{bits:.1f} bits", "probability": None}]


def write(model: keras.Model, examples: Sequence[Example], spec: Spec, wanted: Writing) -> list[list[Answer]]:
    """Continues prompts. Another order of the prompts draws other tokens."""
    from suite.heads import generation
    from suite.writer import Writer

    writer = Writer(model.get_layer(generation.NAME), tokenizer(spec), wanted)
    return writer.write([example["prompt"] for example in examples])


def stream_text(model: keras.Model, example: Example, spec: Spec, wanted: Writing) -> Iterator[str]:
    """The pieces of the text that `write` gives for this prompt alone, as they come."""
    from suite.heads import generation
    from suite.writer import Writer

    return Writer(model.get_layer(generation.NAME), tokenizer(spec), wanted).stream(example["prompt"])


TASK = Task(
    name="generation",
    schema=prose.SCHEMA,
    fields=("prompt",),
    causal="tokens",
    metric="bits_per_character",
    lower_is_better=frozenset({"bits_per_character", "loss", "perplexity"}),
    version=1,
    settings=Features,
    read=prose.read,
    example=example,
    labels=labels,
    groups=prose.groups,
    spec=spec,
    encode=encode,
    build=build,
    loss=loss,
    infer=infer,
    watch=watch,
    selects="loss",
    decode=decode,
    evaluate=evaluate,
    show=show,
    write=write,
    stream=stream_text,
    baselines={"classic": ngram.kneser_ney, "majority": ngram.unigram},
)
