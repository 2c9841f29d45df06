"""Sounds: any WAV or FLAC file as float32 samples of one channel, at the rate that a model wants.

    {"path": "yes/3.wav", "label": "yes", "digest": "...", "rate": 48000, "samples": 52800, "waveform": [0.0, ...]}

Samples lie between -1 and 1, or a little beyond in files of floating-point numbers. A light example has no waveform;
its file is decoded each time that the whole example is asked for.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from suite.data import folders
from suite.data.lazy import Lazy
from suite.errors import InputError
from suite.faults import Faults
from suite.task import Example

SUFFIXES = frozenset({".flac", ".wav"})
RATES = (1_000, 768_000)  # samples a second; a header with any other is broken

_FORMATS = ("WAV", "WAVEX", "FLAC")
_EXPECTED = "expected a WAV or FLAC file"
_BLOCK = 1 << 20  # numbers decoded at a time: a broken header may promise more than there is memory
_STREAM = 0x7FFF_0000  # a data chunk of at least so many bytes was written before its length was known
_FRAME = 0.025  # seconds
_ROUNDING = 2**-30 / 12  # the power of what 16 bits leave out
_PARTS = 1_000  # rates are changed by fractions up to this denominator: at most a thousandth off for odd ones


def read(path: Path, faults: Faults) -> Lazy:
    """The sounds of a folder of folders by class, or of a CSV or TSV file of paths and labels; see `folders.read`.

    Each file is decoded once to see that it can be, and again whenever its example is asked for.

    Args:
        path: the folder or the table.
        faults: told of what cannot be used.

    Raises:
        InputError: nothing in it can be used.
    """
    return Lazy(folders.read(path, faults, suffixes=SUFFIXES, describe=_sizes, kind="sound"), _load)


def example(path: Path) -> dict[str, Any]:
    """One sound without a label.

    Raises:
        InputError: it is no sound that can be used.
    """
    waveform, rate = decode(path)
    return {"path": str(path), "rate": rate, "samples": len(waveform), "waveform": waveform}


def _sizes(path: Path) -> dict[str, int]:
    waveform, rate = decode(path)
    return {"rate": rate, "samples": len(waveform)}


def in_memory(examples: Sequence[Example], waveforms: Sequence[np.ndarray], *, rate: int) -> Lazy:
    """Examples whose sounds are at hand as 16-bit integers, as a dataset of small recordings has them.

    Args:
        examples: everything but the sound.
        waveforms: the int16 samples of each.
        rate: samples a second.
    """
    light, sounds = [], {}
    for one, waveform in zip(examples, waveforms, strict=True):
        digest = hashlib.sha256(waveform.tobytes()).hexdigest()[:16]
        sounds[digest] = waveform
        light.append({**one, "digest": digest, "rate": rate, "samples": len(waveform)})
    return Lazy(light, lambda one: {**one, "waveform": sounds[one["digest"]].astype("float32") / 2**15})


def decode(source: Path | bytes, name: str = "") -> tuple[np.ndarray, int]:
    """The samples of a WAV or FLAC file, float32 (S,), and how many there are in a second. Channels are averaged.

    Args:
        source: the file or its bytes. What it is, its content tells, whatever its name.
        name: what messages call it; by default the file's path.

    Raises:
        InputError: the file cannot be read, is of another kind, is shorter than it says, has no sample, or has one that
            is no number.
    """
    import soundfile

    name = name or str(source)
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(f"{name}: {reason}; {_EXPECTED}") from error
    if not content:
        raise InputError(f"{name}: the file is empty; {_EXPECTED}")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.format not in _FORMATS:
                raise InputError(f"{name}: {file.format} is not read; {_EXPECTED}")
            promised, rate = file.frames, file.samplerate
            blocks = []
            while len(block := file.read(max(1, _BLOCK // file.channels), dtype="float32", always_2d=True)):
                blocks.append(block.mean(axis=1, dtype="float32"))
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
        reason = getattr(error, "error_string", str(error)).strip().rstrip(".")
        raise InputError(f"{name}: cannot be decoded ({reason}); {_EXPECTED}") from error
    waveform = np.concatenate(blocks) if blocks else np.zeros(0, "float32")
    _check(waveform, rate, name, promised=promised, missing=_missing(content))
    return waveform, rate


def _check(waveform: np.ndarray, rate: int, name: str, *, promised: int, missing: int) -> None:
    if missing:
        raise InputError(f"{name}: cut off, {missing:,} bytes of sound are missing; expected the whole file")
    if len(waveform) < promised:
        raise InputError(f"{name}: broken after {len(waveform):,} of {promised:,} samples; expected the whole file")
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"{name}: {rate:,} samples a second; expected {RATES[0]:,} to {RATES[1]:,}")
    if not len(waveform):
        raise InputError(f"{name}: no sample in it; expected a sound longer than nothing")
    wrong = np.flatnonzero(~np.isfinite(waveform))
    if wrong.size:
        raise InputError(f"{name}: sample {wrong[0]:,} is {waveform[wrong[0]]}, no number; expected finite samples")


def _missing(content: bytes) -> int:
    """Bytes by which a WAV file is shorter than its data chunk says; the decoder itself passes over that in silence."""
    if content[:4] != b"RIFF":
        return 0
    place = 12
    while place + 8 <= len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        if content[place : place + 4] == b"data":
            return 0 if size >= _STREAM else max(0, place + 8 + size - len(content))
        place += 8 + size + size % 2
    return 0


def length(samples: int, *, rate: int, to: int, seconds: float) -> int:
    """How many samples `fit` gives."""
    ratio = _ratio(rate, to)
    kept = min(samples, math.ceil(seconds * rate))
    return min(-(-kept * ratio.numerator // ratio.denominator), math.ceil(seconds * to))


def fit(example: Example, *, to: int, seconds: float) -> np.ndarray:
    """The waveform of an example at another rate, cut where it is too long: float32 (S,), at least one sample.

    Args:
        example: with ``waveform`` and ``rate``.
        to: samples a second that are wanted.
        seconds: how much of its beginning is kept.
    """
    import scipy.signal

    rate, waveform = example["rate"], np.asarray(example["waveform"], "float32")
    waveform = waveform[: math.ceil(seconds * rate)]
    ratio = _ratio(rate, to)
    if ratio != 1:
        waveform = scipy.signal.resample_poly(waveform, ratio.numerator, ratio.denominator).astype("float32")
    return waveform[: math.ceil(seconds * to)]


def dynamic_range(waveform: np.ndarray, *, rate: int) -> float:
    """How far the loud stretches of a sound are above its quiet ones, in decibels, 0 or more.

    The 95th less the 5th percentile of the level of frames of 25 ms. Where there are pauses it says how far the sound
    stands out from what is around it. It is no signal-to-noise ratio: a sound without a pause has a small one, however
    clean it is. No frame counts as quieter than what rounding to 16 bits adds.

    Args:
        waveform: (S,), samples between -1 and 1.
        rate: samples a second.

    Example:

    >>> tone = np.sin(np.arange(8_000))
    >>> round(dynamic_range(np.concatenate([tone, tone / 100]), rate=8_000))
    40
    """
    size = max(1, min(len(waveform), round(_FRAME * rate)))
    frames = waveform[: len(waveform) // size * size].reshape(-1, size).astype("float64")
    levels = 10 * np.log10(np.mean(frames**2, axis=1) + _ROUNDING)
    quiet, loud = np.percentile(levels, [5, 95])
    return float(loud - quiet)


def _ratio(rate: int, to: int) -> Fraction:
    return Fraction(to, rate).limit_denominator(_PARTS)


def _load(light: Mapping[str, Any]) -> dict[str, Any]:
    waveform, _ = decode(Path(light["path"]))
    return {**light, "waveform": waveform}
