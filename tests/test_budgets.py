"""Comparisons are fair: the neural families of a task have equally many parameters, on each dataset."""

import math
import tomllib

import pytest

from suite import backend, config, find, fitting, preparing
from suite.data.splits import make_splits

NEURAL = ("transformer", "rnn", "cnn")


def overlays(task):
    tables = tomllib.loads(find.config_file(task).read_text("utf8")).get("overlay", {})
    return sorted(set(tables) & set(find.datasets(find.task(task).schema)))


CASES = [(task, dataset) for task in find.tasks() for dataset in overlays(task)]


@pytest.mark.parametrize(("task", "dataset"), CASES)
def test_the_families_have_equally_many_parameters(task, dataset):
    """Within 10 % of the transformer, with each dataset's settings and the embedded data's vocabulary."""
    backend.prepare(device="cpu", precision="float32")
    embedded = config.wanted(task)
    parts = find.load_dataset(embedded.dataset, schema=embedded.task.schema, data_dir=None)
    splits = make_splits(parts, name=embedded.dataset)
    wanted = config.wanted(task, dataset=dataset, models=NEURAL)
    counts, prepared = {}, None
    for one in config.resolve(wanted):
        prepared = prepared or preparing.Prepared(wanted.task, splits, one, task)
        model = fitting.build(one, prepared.encoded_for(one))
        counts[one.model] = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    for family in NEURAL:
        assert 0.9 <= counts[family] / counts["transformer"] <= 1.1, counts
