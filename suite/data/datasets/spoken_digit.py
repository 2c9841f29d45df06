"""The Free Spoken Digit Dataset: ten English digits, each fifty times from each of five speakers.

    {"waveform": [0.0, ...], "rate": 8000, "label": "7", "speaker": "theo", "name": "7_theo_32"}

Recordings of about half a second. The official split takes recordings 0 to 4 of each digit and speaker for test, so
every voice is known; ``spoken_digit:speaker=theo`` holds one speaker out, and all of that voice is test.

Origin: https://github.com/Jakobovski/free-spoken-digit-dataset, version 1.0.9. Licence: CC BY-SA 4.0.
Reference: Jackson et al. 2018, "Jakobovski/free-spoken-digit-dataset: v1.0.8", https://doi.org/10.5281/zenodo.1342401.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from suite.data import audio, sources
from suite.data.lazy import take
from suite.errors import InputError, did_you_mean

SCHEMA = "waveform->label"
DESCRIPTION = "ten spoken English digits from five speakers, 8 kHz"
ORIGIN = "https://github.com/Jakobovski/free-spoken-digit-dataset"
LICENCE = "CC BY-SA 4.0"
SIZES = {"train": 2250, "test": 250}
SPEAKERS = ("george", "jackson", "nicolas", "theo", "yweweler")
VARIANTS = f"speaker=NAME holds a speaker out for test: {', '.join(SPEAKERS)}"

_NAME = "spoken_digit"  # as TensorFlow Datasets calls it
_FOLDER = "tfds_manual"
_FILES = ("free-spoken-digit-dataset-1.0.9.tar.gz", "v1.0.9.tar.gz")
_ADDRESS = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.9.tar.gz"
_CHECKSUM = "8bc44cde129d505cbbb6b365c09f80c663f2aa77578afc634e6141a2f87100c0"
_RATE = 8000
_OFFICIAL_TEST = range(5)
_RECORDING = re.compile(r"(?:.*/)?((\d)_([a-z]+)_(\d+))\.wav")


def available(data_dir: Path | None = None) -> bool:
    """Whether the archive is on this machine, or TensorFlow Datasets has it prepared."""
    return _archive(data_dir) is not None or sources.tfds_prepared(_NAME, data_dir=data_dir)


def load(data_dir: Path | None = None, variant: str = "") -> dict[str, Any]:
    """Train and test. Reads the archive, or what TensorFlow Datasets has prepared, or fetches the archive.

    TensorFlow Datasets needs the package pydub to prepare this dataset; what it has prepared is read without.

    Args:
        data_dir: a folder that has the archive, or a folder ``tfds_manual`` with it, or prepared datasets.
        variant: ``""`` for the official split, or ``"speaker=theo"``.
    """
    held_out = _speaker(variant)
    notes = []
    path = _archive(data_dir)
    if path is None and sources.tfds_prepared(_NAME, data_dir=data_dir):
        recordings = list(_from_tfds(data_dir))
    else:
        if path is None:
            path = sources.download(_ADDRESS, sha256=_CHECKSUM, target=sources.data_home() / _FOLDER / _FILES[0])
        elif (found := sources.sha256(path)) != _CHECKSUM:
            notes.append(f"{path} is not the published file (SHA-256 {found[:12]}...)")
        recordings = list(_from_archive(path))
    recordings.sort(key=lambda recording: recording[0])
    examples = [_example(name) for name, _ in recordings]
    sounds = audio.in_memory(examples, [waveform for _, waveform in recordings], rate=_RATE)
    test = [_is_test(example, held_out) for example in examples]
    if held_out:
        notes.append(f"test: all recordings of {held_out}, who is not in train")
    else:
        notes.append("test: recordings 0 to 4 of each digit and speaker, whose voices are in train")
    return {
        "train": take(sounds, [i for i, held in enumerate(test) if not held]),
        "test": take(sounds, [i for i, held in enumerate(test) if held]),
        "notes": notes,
    }


def _speaker(variant: str) -> str:
    if not variant:
        return ""
    key, _, name = variant.partition("=")
    if key != "speaker":
        raise InputError(f"spoken_digit:{variant}: unknown variant; expected {VARIANTS}")
    if name not in SPEAKERS:
        raise InputError(f"spoken_digit:{variant}: unknown speaker {name!r}; {did_you_mean(name, SPEAKERS)}")
    return name


def _archive(data_dir: Path | None) -> Path | None:
    return sources.find_file(_FILES, data_dir=data_dir, subfolder=_FOLDER)


def _from_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The name and the samples of each recording."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                file = archive.extractfile(member) if _RECORDING.fullmatch(member.name) else None
                if file is not None:
                    waveform, rate = audio.decode(file.read(), f"{path}: {member.name}")
                    if rate != _RATE:
                        raise InputError(f"{path}: {member.name}: {rate} samples a second; expected {_RATE}")
                    yield _stem(member.name), np.round(waveform * 2**15).astype("int16")
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{path}: not the archive of recordings: {error}; expected the file of {_ADDRESS}") from error


def _from_tfds(data_dir: Path | None) -> Iterator[tuple[str, np.ndarray]]:
    _, parts = sources.tfds_parts(_NAME, splits={"all": "train"}, origin=_ADDRESS, data_dir=data_dir)
    for item in parts["all"]:
        name = item["audio/filename"]
        yield _stem(name.decode() if isinstance(name, bytes) else str(name)), np.asarray(item["audio"]).astype("int16")


def _stem(name: str) -> str:
    found = _RECORDING.fullmatch(name)
    if found is None:
        raise InputError(f"spoken_digit: {name!r} is no recording's name; expected DIGIT_SPEAKER_NUMBER.wav")
    return found[1]


def _example(name: str) -> dict[str, str]:
    digit, speaker, _ = name.split("_")
    return {"name": name, "speaker": speaker, "label": digit}


def _is_test(example: Mapping[str, str], held_out: str) -> bool:
    if held_out:
        return example["speaker"] == held_out
    return int(example["name"].rpartition("_")[2]) in _OFFICIAL_TEST
