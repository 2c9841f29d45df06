"""spaCy's trainer on WNUT17, as a peer of our own taggers.

`python -m benchmarks.spacy_tagger` does what `spacy init config --optimize efficiency --pipeline ner`, `spacy convert`,
`spacy train` and `spacy evaluate` do: the convolutional network without vectors of words, 3,000 steps at most, its best
model by validation. It prints, as JSON, the entity F1 on test, as we count it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from suite.data.datasets import wnut17
from suite.metrics import entities
from suite.task import Example

STEPS = 3000


def run(
    seed: Annotated[int, typer.Option(min=0)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Learn from a few sentences.")] = False,
) -> None:
    """Train, and print the entity F1 on test."""
    import spacy
    from spacy.cli.init_config import init_config
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train
    from spacy.util import load_model

    parts = {name: part[:100] if quick else part for name, part in wnut17.load().items()}
    with TemporaryDirectory() as name:
        folder = Path(name)
        paths = {
            part: _convert(parts[split], folder / f"{part}.spacy")
            for part, split in {"train": "train", "dev": "validation"}.items()
        }
        config = init_config(lang="en", pipeline=["ner"], optimize="efficiency")
        config["paths"].update(paths)
        config["system"]["seed"] = seed
        config["training"]["max_steps"] = 10 if quick else STEPS
        config["training"]["eval_frequency"] = 5 if quick else config["training"]["eval_frequency"]
        out = folder / "out"
        out.mkdir()
        train(init_nlp(config), out, stdout=io.StringIO(), stderr=io.StringIO())
        best = load_model(out / "model-best")
        docs = [spacy.tokens.Doc(best.vocab, words=example["tokens"]) for example in parts["test"]]
        found = [_tags(doc) for doc in best.pipe(docs)]
        scores = entities.entity_scores([example["tags"] for example in parts["test"]], found)
        typer.echo(json.dumps({"f1": scores["f1"], "parameters": _weights(best)}))


def _convert(examples: Sequence[Example], path: Path) -> str:
    """Sentences in spaCy's own format, as `spacy convert` writes them."""
    from spacy import blank
    from spacy.tokens import Doc, DocBin, Span

    vocabulary = blank("en").vocab
    docs = DocBin()
    for example in examples:
        doc = Doc(vocabulary, words=example["tokens"])
        doc.ents = [Span(doc, start, stop, label) for start, stop, label in entities.entities(example["tags"])]
        docs.add(doc)
    docs.to_disk(path)
    return str(path)


def _weights(nlp: Any) -> int:
    nodes = [node for _, component in nlp.pipeline for node in component.model.walk()]
    return int(sum(node.get_param(name).size for node in nodes for name in node.param_names if node.has_param(name)))


def _tags(doc: Any) -> list[str]:
    return [token.ent_iob_ if token.ent_iob_ in ("", "O") else f"{token.ent_iob_}-{token.ent_type_}" for token in doc]


if __name__ == "__main__":
    typer.run(run)
