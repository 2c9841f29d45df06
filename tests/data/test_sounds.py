"""The datasets of sounds: what is generated is what it says, and what is read is cut as it should be."""

import io
import os
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from suite.data import sources
from suite.data.datasets import formants, speech_commands, spoken_digit
from suite.data.lazy import light
from suite.data.splits import make_splits
from suite.errors import InputError

SHARED = Path(os.environ.get("SUITE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data") / "tfds_manual"
ARCHIVE = "free-spoken-digit-dataset-1.0.9.tar.gz"


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """A user without data and without a network."""
    for name in ("SUITE_DATA", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sources, "reachable", lambda *args, **kwargs: False)


@pytest.fixture(scope="module")
def words():
    return formants.utterances("test", 400)


def test_utterances_are_the_same_each_time(words):
    again = formants.utterances("test", 7)
    assert list(light(again)) == list(light(words))[:7]
    np.testing.assert_array_equal(again[3]["waveform"], words[3]["waveform"])
    first = {split: light(formants.utterances(split, 3))[0]["digest"] for split in formants.SIZES}
    assert len(set(first.values())) == 3


def test_a_word_and_its_reverse_are_both_words():
    assert len(set(formants.WORDS)) == 10
    assert {word[::-1] for word in formants.WORDS} == set(formants.WORDS)
    assert len({frozenset(word) for word in formants.WORDS}) == 5


def test_utterances_are_about_a_second_of_sound(words):
    assert set(Counter(one["label"] for one in light(words))) == set(formants.WORDS)
    for one in words:
        assert one["rate"] == 8000
        assert 0.4 < len(one["waveform"]) / 8000 < 1.6
        assert 0.005 < np.abs(one["waveform"]).max() < 1


def test_the_oracle_is_wrong_only_where_nothing_decides(words):
    drowned = [one for one in light(words) if len(one["oracle"]) == 2]
    assert len(drowned) / len(words) == pytest.approx(0.1, abs=0.04)
    for one in light(words):
        assert sum(one["oracle"].values()) == pytest.approx(1)
        assert one["label"] in one["oracle"]
        assert len(one["oracle"]) == 2 or one["oracle"] == {one["label"]: 1.0}
    right = [max(one["oracle"], key=one["oracle"].get) == one["label"] for one in drowned]
    assert np.mean(right) == pytest.approx(0.7, abs=0.2)
    assert all("oracle" not in one for one in light(formants.utterances("train", 9)))


def test_a_vowel_is_loudest_at_its_first_formants():
    voice = formants._voice(np.random.RandomState(3), 8000)
    for vowel, tract in (("a", 1.0), ("e", 1.0), ("i", 1.0), ("o", 1.0), ("u", 1.0), ("e", 1.2), ("e", 0.85)):
        power = np.abs(np.fft.rfft(formants._sound(voice, vowel, tract) * np.hanning(8000))) ** 2  # a bin is a hertz
        power[:60] = 0  # pulses are all to one side
        loudest = np.convolve(power, np.ones(250), "same").argmax() / tract
        first, second, _ = formants._FORMANTS[vowel]
        assert first - 120 < loudest < (second if second - first < 400 else first) + 120


def recording(seed=0, samples=211, rate=8000):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.random.RandomState(seed).uniform(-0.5, 0.5, samples), rate, format="WAV")
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    """An archive of two digits by five speakers, seven times each."""
    folder = tmp_path / "data" / "tfds_manual"
    folder.mkdir(parents=True)
    names = [f"{digit}_{name}_{i}" for digit in "27" for name in spoken_digit.SPEAKERS for i in (0, 1, 4, 5, 6, 10, 40)]
    with tarfile.open(folder / ARCHIVE, "w:gz") as file:
        for seed, name in enumerate(names):
            content = recording(seed)
            entry = tarfile.TarInfo(f"free-spoken-digit-dataset-1.0.9/recordings/{name}.wav")
            entry.size = len(content)
            file.addfile(entry, io.BytesIO(content))
        file.addfile(tarfile.TarInfo("free-spoken-digit-dataset-1.0.9/README.md"))
    return folder / ARCHIVE


@pytest.mark.parametrize("depth", [1, 2])
def test_the_official_split_takes_recordings_0_to_4(archive, depth):
    parts = spoken_digit.load(archive.parents[depth - 1])
    numbers = {split: {int(one["name"].split("_")[2]) for one in light(parts[split])} for split in ("train", "test")}
    assert numbers == {"train": {5, 6, 10, 40}, "test": {0, 1, 4}}
    assert (len(parts["train"]), len(parts["test"])) == (40, 30)
    assert "not the published file" in parts["notes"][0]
    one = next(one for one in parts["test"] if one["name"] == "2_george_0")
    np.testing.assert_allclose(one["waveform"], np.random.RandomState(0).uniform(-0.5, 0.5, 211), atol=2**-15)
    assert (one["label"], one["speaker"], one["rate"]) == ("2", "george", 8000)


def test_a_speaker_is_held_out(archive):
    parts = spoken_digit.load(archive.parent, "speaker=theo")
    assert {one["speaker"] for one in light(parts["test"])} == {"theo"}
    assert {one["speaker"] for one in light(parts["train"])} == set(spoken_digit.SPEAKERS) - {"theo"}
    assert len(parts["test"]) == 14
    made = make_splits(parts, name="spoken_digit:speaker=theo")
    assert len(made.validation) == 6
    assert not any("also in train" in note for note in made.notes)


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("theo", "unknown variant; expected speaker=NAME holds a speaker out for test: george, jackson"),
        ("speaker=teo", "unknown speaker 'teo'; did you mean 'theo'"),
        ("speaker=", "unknown speaker ''"),
    ],
)
def test_a_wrong_variant_is_told_the_right_ones(variant, message):
    with pytest.raises(InputError, match=message):
        spoken_digit.load(None, variant)


def test_a_broken_archive_is_told(archive):
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="not the archive of recordings"):
        spoken_digit.load(archive.parent)


def test_a_broken_recording_in_the_archive_is_named(archive):
    content = recording()[:-7]
    with tarfile.open(archive, "w:gz") as file:
        entry = tarfile.TarInfo("recordings/3_theo_9.wav")
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    with pytest.raises(InputError, match=r"recordings/3_theo_9\.wav: cut off, 7 bytes"):
        spoken_digit.load(archive.parent)


def test_without_archive_and_network_it_says_where_data_may_be(tmp_path):
    assert not spoken_digit.available(tmp_path)
    with pytest.raises(InputError, match=r"cannot be reached to fetch .*--data-dir"):
        spoken_digit.load(tmp_path)


def test_the_real_recordings_are_cut_as_published():
    if not (SHARED / ARCHIVE).is_file():
        pytest.skip(f"{ARCHIVE} is not in {SHARED}")
    assert spoken_digit.available(SHARED)
    parts = spoken_digit.load(SHARED)
    assert {split: len(parts[split]) for split in spoken_digit.SIZES} == spoken_digit.SIZES
    assert Counter(one["label"] for one in light(parts["test"])) == dict.fromkeys("0123456789", 25)
    assert len(parts["notes"]) == 1
    assert len(spoken_digit.load(SHARED, "speaker=theo")["test"]) == 500


def test_what_tfds_has_prepared_is_the_same(archive, tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    from_archive = spoken_digit.load(archive.parent)
    everything = [*from_archive["train"], *from_archive["test"]]
    items = [
        {
            "audio": (one["waveform"] * 2**15).astype("int64"),
            "audio/filename": f"{one['name']}.wav".encode(),
            "label": int(one["label"]),
        }
        for one in everything
    ]
    archive.unlink()
    monkeypatch.setattr(sources, "tfds_prepared", lambda name, data_dir: True)
    monkeypatch.setattr(sources, "reachable", lambda *args, **kwargs: True)
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: items):
        parts = spoken_digit.load(None)
    for split in ("train", "test"):
        assert list(light(parts[split])) == list(light(from_archive[split]))


def test_tfds_prepares_the_real_recordings(tmp_path):
    """As a user with TensorFlow Datasets' own needs would do it, offline."""
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("pydub", reason="TensorFlow Datasets needs pydub to prepare this dataset")
    if not (SHARED / ARCHIVE).is_file():
        pytest.skip(f"{ARCHIVE} is not in {SHARED}")
    builder = tfds.builder("spoken_digit", data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=SHARED, extract_dir=tmp_path / "extracted")
    )
    prepared, direct = spoken_digit.load(tmp_path), spoken_digit.load(SHARED)
    for split in ("train", "test"):
        assert list(light(prepared[split])) == list(light(direct[split]))


def test_commands_stay_where_they_are_until_asked_for(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    asked = Counter()

    class Items(list):
        def __getitem__(self, index):
            asked[index] += 1
            return super().__getitem__(index)

    items = Items({"audio": np.full(5 * i, -i, "int64"), "label": i % 12} for i in range(13))
    monkeypatch.setattr(sources, "reachable", lambda *args, **kwargs: True)
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split: items):
        parts = speech_commands.load(None)
    assert parts["notes"] == ["clips without a sample, left out: 3"]
    assert [one["samples"] for one in light(parts["test"])] == [5 * i for i in range(1, 13)]
    assert [one["label"] for one in light(parts["train"])][:2] == ["go", "left"]
    assert not asked
    one = parts["validation"][6]
    assert asked == {7: 1}
    assert one["rate"] == 16_000
    np.testing.assert_array_equal(one["waveform"], np.full(35, -7 / 2**15, "float32"))
