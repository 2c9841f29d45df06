"""Sound files of every kind become the same waveform; what is wrong with one is told by its name."""

import io
import struct

import numpy as np
import pytest
import soundfile

from suite.data import audio
from suite.data.lazy import light
from suite.errors import InputError
from suite.faults import Faults

RATE = 8000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(2003) / RATE)).astype("float32")


def encoded(samples=TONE, *, rate=RATE, kind="WAV", subtype="PCM_16"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    """Two classes of two sounds each, all different."""
    for number, name in enumerate(["no/1.wav", "no/2.wav", "yes/1.wav", "yes/2.flac"]):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(TONE[number:], kind="FLAC" if path.suffix == ".flac" else "WAV"))
    return tmp_path / "sounds"


@pytest.mark.parametrize(
    ("kind", "subtype", "exact"),
    [
        ("WAV", "PCM_U8", 2**-7),
        ("WAV", "PCM_16", 2**-15),
        ("WAV", "PCM_24", 2**-22),
        ("WAV", "PCM_32", 2**-22),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAVEX", "PCM_24", 2**-22),
        ("FLAC", "PCM_16", 2**-15),
        ("FLAC", "PCM_24", 2**-22),
    ],
)
def test_every_kind_of_file_holds_the_same_sound(kind, subtype, exact):
    waveform, rate = audio.decode(encoded(kind=kind, subtype=subtype))
    assert rate == RATE
    assert waveform.dtype == "float32"
    np.testing.assert_allclose(waveform, TONE, rtol=0, atol=exact)


def test_channels_are_averaged():
    waveform, _ = audio.decode(encoded(np.stack([TONE, 0 * TONE], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(waveform, TONE / 2, atol=1e-7)


def test_a_file_written_before_its_length_was_known_is_whole():
    content = encoded()
    place = content.index(b"data") + 4
    waveform, _ = audio.decode(content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :])
    np.testing.assert_allclose(waveform, TONE, atol=2**-15)


NAN = TONE.copy()
NAN[7] = np.nan


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; expected a WAV or FLAC file"),
        (b"RIFF is how it begins", "cannot be decoded .*; expected a WAV or FLAC file"),
        (b"not a sound at all " * 99, "cannot be decoded .*; expected a WAV or FLAC file"),
        (encoded()[:-9], "cut off, 9 bytes of sound are missing"),
        (encoded(kind="FLAC")[:-9], "cannot be decoded"),
        (encoded(TONE[:0]), "no sample in it"),
        (encoded(NAN, subtype="FLOAT"), "sample 7 is nan, no number"),
        (encoded(np.full(9, np.inf), subtype="DOUBLE"), "sample 0 is inf"),
        (encoded(rate=3), "3 samples a second; expected 1,000 to 768,000"),
        (encoded(kind="AIFF"), "AIFF is not read; expected a WAV or FLAC file"),
        (encoded(kind="OGG", subtype="VORBIS"), "OGG is not read"),
    ],
)
def test_what_is_wrong_is_told(content, message):
    with pytest.raises(InputError, match=rf"^x\.wav: {message}"):
        audio.decode(content, "x.wav")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match=r"9\.wav: no such file"):
        audio.example(tmp_path / "9.wav")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        audio.example(tmp_path)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_becomes_the_one_that_is_wanted(rate):
    time = np.arange(round(0.25 * rate)) / rate
    one = {"waveform": np.sin(2 * np.pi * 440 * time).astype("float32"), "rate": rate}
    fitted = audio.fit(one, to=8000, seconds=1.0)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(fitted)) / 8000)
    assert fitted.dtype == "float32"
    assert abs(len(fitted) - 2000) <= 1
    assert len(fitted) == audio.length(len(time), rate=rate, to=8000, seconds=1.0)
    np.testing.assert_allclose(fitted[100:-100], expected[100:-100], atol=0.01)


@pytest.mark.parametrize("samples", [1, 2, 999, 480_000])
@pytest.mark.parametrize("rate", [1000, 8000, 44_100, 47_999, 768_000])
def test_the_length_is_known_without_the_sound(samples, rate):
    one = {"waveform": np.ones(samples, "float32"), "rate": rate}
    for to, seconds in ((8000, 0.3), (16_000, 1.0), (22_050, 1000.0)):
        fitted = audio.fit(one, to=to, seconds=seconds)
        assert len(fitted) == audio.length(samples, rate=rate, to=to, seconds=seconds)
        assert 1 <= len(fitted) <= np.ceil(seconds * to)


def test_a_folder_holds_a_folder_for_each_class(folder):
    examples = audio.read(folder, Faults())
    assert [one["label"] for one in light(examples)] == ["no", "no", "yes", "yes"]
    assert all("waveform" not in one for one in light(examples))
    assert [one["samples"] for one in light(examples)] == [2003, 2002, 2001, 2000]
    np.testing.assert_allclose(examples[3]["waveform"], TONE[3:], atol=2**-15)
    assert examples[3]["rate"] == RATE
    assert len({one["digest"] for one in light(examples)}) == 4


def test_a_table_names_paths_and_labels(folder):
    table = folder / "table.csv"
    table.write_text("label,path\nja,yes/1.wav\nnein,no/2.wav\n")
    assert [(one["label"], one["samples"]) for one in audio.read(table, Faults())] == [("ja", 2001), ("nein", 2002)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,sound\nja,yes/1.wav\n", r"table\.csv:1: no column 'path'"),
        ("path,word\nyes/1.wav,ja\n", r"table\.csv:1: no column 'label'"),
        ("path,label\nyes/1.wav,ja\nyes/9.wav,ja\n", r"table\.csv:3: yes/9\.wav: no such file"),
        ("path,label\nyes/1.wav,\n", r"table\.csv:2: no label"),
        ("path,label\nyes/1.mp3,ja\n", r"table\.csv:2: yes/1\.mp3 is not a sound; expected \.flac, \.wav"),
    ],
)
def test_a_table_with_something_missing_is_refused(folder, text, message):
    (folder / "table.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        audio.read(folder / "table.csv", Faults())


def test_a_broken_file_in_the_middle_of_a_folder_is_named(folder):
    broken = folder / "no" / "2.wav"
    broken.write_bytes(broken.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"no/2\.wav: cut off, 3,048 bytes"):
        audio.read(folder, Faults())
    faults = Faults(skip=True)
    assert [one["samples"] for one in audio.read(folder, faults)] == [2003, 2001, 2000]
    assert len(faults.messages) == 1


def test_a_file_of_another_kind_in_a_folder_is_named(folder):
    (folder / "no" / "3.mp3").write_bytes(b"ID3")
    with pytest.raises(InputError, match=r"no/3\.mp3: not a sound; expected \.flac, \.wav"):
        audio.read(folder, Faults())
    faults = Faults(skip=True)
    assert len(audio.read(folder, faults)) == 4
    assert len(faults.messages) == 1


def test_what_the_content_is_counts_and_not_the_name(folder):
    (folder / "no" / "1.wav").write_bytes(encoded(kind="FLAC"))
    np.testing.assert_allclose(audio.read(folder, Faults())[0]["waveform"], TONE, atol=2**-15)


def test_a_folder_of_nothing_but_broken_files_is_refused(folder):
    for path in folder.rglob("*.*"):
        path.write_bytes(b"RIFF")
    with pytest.raises(InputError, match="no sound in it that can be used"):
        audio.read(folder, Faults(skip=True))


def test_recordings_at_hand_are_told_apart_by_their_sound():
    examples = audio.in_memory([{"label": "a"}, {"label": "b"}], [np.array([1, -(2**15)], "int16")] * 2, rate=9000)
    assert light(examples)[0]["digest"] == light(examples)[1]["digest"]
    assert light(examples)[0] | {"digest": ""} == {"label": "a", "digest": "", "rate": 9000, "samples": 2}
    np.testing.assert_array_equal(examples[1]["waveform"], np.array([2**-15, -1], "float32"))


def promised(content):
    """How many samples a WAV file says that it has, and where the last of them would end; None if it cannot be told."""
    chunks, place = {}, 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        chunks.setdefault(name, (place + 8, size))
        place += 8 + size + size % 2
    tag, channels, _, _, _, bits = struct.unpack_from("<HHIIHH", content, chunks[b"fmt "][0])
    start, size = chunks[b"data"]
    if tag not in (1, 3) or size >= 0x7FFF_0000:
        return None
    return size // (channels * -(-bits // 8)), start + size


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_mutated_file_is_refused_or_gives_all_that_it_promises(kind, mutations):
    whole = 0
    for content in mutations(encoded(TONE[:401], kind=kind), 1000, seed=3):
        try:
            waveform, rate = audio.decode(content, "x")
        except InputError as error:
            assert str(error).startswith("x: ")  # noqa: PT017
            continue
        whole += 1
        assert waveform.dtype == "float32"
        assert np.isfinite(waveform).all()
        assert audio.RATES[0] <= rate <= audio.RATES[1]
        if kind == "FLAC":  # which has a checksum for each block: it is right or refused
            np.testing.assert_allclose(waveform, TONE[:401], atol=2**-15)
        elif (told := promised(content)) is not None:
            assert len(waveform) == told[0]
            assert told[1] <= len(content)
    assert 0 < whole < 700
