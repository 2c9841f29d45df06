import subprocess
import sys
from pathlib import Path

import pytest

from suite import config, find
from suite.errors import InputError


def resolve(*sets, models=("transformer",), seeds=(0,), task="ner", **options):
    return config.resolve(config.wanted(task, models=models, sets=sets, **options), seeds=seeds)


@pytest.mark.parametrize("task", find.tasks())
@pytest.mark.parametrize("overlays", [(), ("smoke",)])
def test_every_shipped_configuration_resolves_for_every_model(task, overlays):
    models = find.models(find.task(task))
    for dataset in find.datasets(find.task(task).schema):
        assert len(resolve(models=models, task=task, dataset=dataset, overlays=overlays)) == len(models)


def test_a_variant_of_a_dataset_takes_the_overlay_of_the_dataset():
    assert resolve(dataset="wnut17:some")[0].train == resolve(dataset="wnut17")[0].train
    assert resolve(dataset="news")[0].train != resolve(dataset="wnut17")[0].train


def test_a_model_may_have_features_of_its_own():
    transformer, cnn = resolve("model.cnn.features.dropout=0.5", models=["transformer", "cnn"])
    assert (transformer.features.dropout, cnn.features.dropout) == (0.2, 0.5)


def test_later_layers_win():
    base = resolve(dataset="wnut17")[0]
    assert resolve(overlays=["smoke"])[0].train.epochs == 1
    assert resolve(overlays=["smoke"], flags={"train.epochs": 7})[0].train.epochs == 7
    assert resolve("train.epochs=9", overlays=["smoke"], flags={"train.epochs": 7})[0].train.epochs == 9
    assert resolve("train.epochs=9", dataset="wnut17")[0].train.learning_rate == base.train.learning_rate


def test_set_reaches_every_model_that_has_the_key_or_one_model_by_name():
    both = resolve("model.depth=1", models=["transformer", "cnn", "majority"])
    assert [getattr(c.architecture, "depth", None) for c in both] == [1, 1, None]
    one = resolve("model.cnn.depth=1", models=["transformer", "cnn"])
    assert one[0].architecture.depth != 1
    assert one[1].architecture.depth == 1


def test_a_model_may_have_training_settings_of_its_own():
    transformer, cnn = resolve("model.cnn.train.learning_rate=0.5", models=["transformer", "cnn"])
    assert cnn.train.learning_rate == 0.5
    assert transformer.train.learning_rate != 0.5


def test_hash_names_what_decides_the_score_and_nothing_else():
    one, other = resolve(seeds=(0, 1))
    assert one.hash() == other.hash()
    assert one.hash() == resolve(flags={"device": "cpu"})[0].hash()
    assert one.hash() != resolve("train.weight_decay=0.123")[0].hash()
    assert one.hash() != resolve("model.dropout=0.123")[0].hash()


@pytest.mark.parametrize(
    ("sets", "parts"),
    [
        (["train.epochz=3"], ["--set train.epochz=3", "unknown key 'train.epochz'", "did you mean 'epochs'"]),
        (["model.widht=3"], ["--set model.widht=3", "did you mean 'model.width'"]),
        (["model.transformer.widht=3"], ["unknown key 'model.transformer.widht'", "did you mean 'width'"]),
        (["trian.epochs=3"], ["--set trian.epochs=3", "did you mean 'train'"]),
        (["train.epochs=many"], ["--set train.epochs=many", "train.epochs", "integer", "'many'"]),
        (["train.epochs=0"], ["train.epochs", "greater than 0", "Received: 0"]),
        (["model.width=100", "model.heads=3"], ["100", "3", "divisible"]),
        (["train.learning_rate"], ["--set train.learning_rate", "key=value"]),
        (["seed=3"], ["--set seed=3", "use --seed"]),
        (["data=3"], ["--set data=3", "data"]),
        (["model.rnn.width=64"], ["--set model.rnn.width=64", "no selected model"]),
    ],
)
def test_wrong_settings_are_named_with_their_origin_and_the_nearest_right_name(sets, parts):
    with pytest.raises(InputError) as error:
        resolve(*sets)
    for part in parts:
        assert part in str(error.value)


def test_wrong_names_get_suggestions():
    for options, hint in [
        ({"models": ["transfromer"]}, "did you mean 'transformer'"),
        ({"models": ["majorty"]}, "did you mean 'majority'"),
        ({"overlays": ["smoek"]}, "did you mean 'smoke'"),
    ]:
        with pytest.raises(InputError, match=hint):
            resolve(**options)
    with pytest.raises(InputError, match="did you mean 'ner'"):
        resolve(task="nre")
    with pytest.raises(InputError, match="did you mean 'wnut17'"):
        find.dataset("wnut71", schema="tokens->tags")


def test_faults_of_the_file_are_named_with_the_file(tmp_path):
    task = tmp_path / "own.py"
    task.write_text((find.TASKS / "ner.py").read_text("utf8"), "utf8")
    file = tmp_path / "own.toml"
    shipped = find.config_file("ner").read_text("utf8")
    file.write_text(shipped.replace("[model.cnn]", "[model.cnm]", 1), "utf8")
    with pytest.raises(InputError, match=r"own\.toml: \[model\.cnm\].*did you mean 'cnn'"):
        resolve(task=str(task))
    file.write_text("task = 'ner'\n[train\n", "utf8")
    with pytest.raises(InputError, match=r"own\.toml: not a TOML file"):
        resolve(task=str(task))
    file.unlink()
    with pytest.raises(InputError, match="no configuration for task"):
        resolve(task=str(task))


def test_an_architecture_out_of_the_tree(tmp_path):
    path = tmp_path / "shallow.py"
    path.write_text((find.ARCHITECTURES / "cnn.py").read_text("utf8"), "utf8")
    (own,) = resolve("model.depth=1", models=[str(path)])
    assert own.architecture.depth == 1
    with pytest.raises(InputError, match="no such file"):
        resolve(models=[str(tmp_path / "nowhere.py")])
    path = path.with_name("broken.py")
    path.write_text("import does_not_exist\n", "utf8")
    with pytest.raises(InputError, match=r"broken\.py: cannot be imported: ModuleNotFoundError"):
        resolve(models=[str(path)])


def test_resolving_imports_no_framework():
    code = (
        "import sys; from suite import config; "
        "config.resolve(config.wanted('ner')); "
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'jax', 'torch', 'sklearn')))"
    )
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_setting_that_is_a_table_is_given_as_one_or_key_by_key(tmp_path):
    sets = ["model.attention_options={dropout = 0.5}", "model.attention_options.use_bias=false"]
    (one,) = config.resolve(config.wanted("ner", models=["transformer"], sets=sets))
    assert one.architecture.attention_options == {"dropout": 0.5, "use_bias": False}
    text = find.config_file("ner").read_text("utf8")
    table = "\n[overlay.mine.model.transformer]\nattention_options = { dropout = 0.25 }\n"
    (tmp_path / "ner.toml").write_text(text + table, "utf8")
    (tmp_path / "ner.py").write_text("from tasks.ner import TASK\n", "utf8")
    wanted = config.wanted(str(tmp_path / "ner.py"), models=["transformer"], overlays=["mine"])
    assert config.resolve(wanted)[0].architecture.attention_options == {"dropout": 0.25}
