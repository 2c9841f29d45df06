"""Reading pictures: every kind of file, what is wrong with broken ones, and sizes."""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from suite.data import image
from suite.data.lazy import light
from suite.errors import InputError
from suite.faults import Faults

H, W = 5, 7


def picture(mode="RGB", *, seed=0, size=(H, W)):
    """A picture of random pixels in a mode."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def content(made, kind="PNG", **options):
    """The bytes of its file."""
    file = io.BytesIO()
    made.save(file, kind, **options)
    return file.getvalue()


def put(folder, **files):
    """Writes files, named class__name, into folders of their classes."""
    for name, data in files.items():
        label, _, rest = name.partition("__")
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / rest.replace("_", ".")).write_bytes(data)
    return folder


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP"])
def test_every_format_without_loss_gives_its_pixels(kind):
    made = picture("L") if kind == "GIF" else picture()
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = image.decode(content(made, kind, **options))
    np.testing.assert_array_equal(pixels, np.asarray(made.convert("RGB")))


def test_a_jpeg_gives_nearly_its_pixels():
    smooth = Image.fromarray(np.linspace(0, 255, 16 * 16 * 3).reshape(16, 16, 3).astype("uint8"))
    pixels = image.decode(content(smooth, "JPEG", quality=98, subsampling=0))
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.astype(int) - np.asarray(smooth)).max() < 12


def test_grey_pictures_have_one_channel_and_black_and_white_ones_too():
    assert image.decode(content(picture("L"))).shape == (H, W, 1)
    assert set(np.unique(image.decode(content(picture("1"))))) <= {0, 255}
    assert image.decode(content(picture("1"))).shape == (H, W, 1)


def test_a_palette_is_resolved():
    made = picture().quantize(8)
    np.testing.assert_array_equal(image.decode(content(made)), np.asarray(made.convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_laid_on_white(mode):
    made = picture(mode)
    alpha = np.zeros((H, W), "uint8")
    alpha[0] = 255
    made.putalpha(Image.fromarray(alpha))
    pixels = image.decode(content(made))
    assert pixels.shape == (H, W, 3 if mode == "RGBA" else 1)
    np.testing.assert_array_equal(np.squeeze(pixels[0]), np.asarray(picture(mode[:-1]))[0])
    assert np.all(pixels[1:] == 255)


def test_a_transparent_colour_of_a_palette_is_laid_on_white():
    made = Image.fromarray(np.array([[0, 1, 1]], "uint8")).convert("P")
    made.putpalette([10, 20, 30, 40, 50, 60])
    pixels = image.decode(content(made, transparency=1))
    np.testing.assert_array_equal(pixels[0], [[10, 20, 30], [255] * 3, [255] * 3])


def test_sixteen_bits_lose_the_lower_eight():
    made = Image.fromarray(np.array([[0, 255, 256, 65535]], "uint16"))
    np.testing.assert_array_equal(image.decode(content(made))[0, :, 0], [0, 0, 1, 255])


def test_cmyk_becomes_red_green_and_blue():
    made = Image.new("CMYK", (W, H), (0, 255, 255, 0))
    pixels = image.decode(content(made, "TIFF"))
    assert pixels.shape == (H, W, 3)
    assert np.all(pixels == [255, 0, 0])


def test_a_picture_on_its_side_is_turned_upright():
    made, exif = picture(), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, clockwise
    data = content(made, exif=exif)
    pixels = image.decode(data)
    np.testing.assert_array_equal(pixels, np.rot90(np.asarray(made), -1))
    assert image.sizes(data, "") == {"height": W, "width": H, "channels": 3}


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("L", (W, H), grey) for grey in (40, 200)]
    data = content(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.all(image.decode(data) == 40)


def test_one_pixel_is_a_picture():
    data = content(Image.new("RGB", (1, 1), (1, 2, 3)))
    np.testing.assert_array_equal(image.decode(data), [[[1, 2, 3]]])
    grown = image.fit({"pixels": image.decode(data)}, size=(H, W), channels=3, resize="stretch")
    assert np.all(grown == [1, 2, 3])
    assert grown.shape == (H, W, 3)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "I;16", "CMYK"])
def test_sizes_are_those_of_the_decoded_picture(mode):
    data = content(picture("L").convert(mode) if mode == "I;16" else picture(mode), "TIFF" if mode == "CMYK" else "PNG")
    height, width, channels = image.decode(data).shape
    assert image.sizes(data, "") == {"height": height, "width": width, "channels": channels}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"not a picture at all", "unknown format"),
        (content(picture(size=(64, 64)), "JPEG")[:700], "truncated"),
        (content(picture(size=(64, 64)))[:400], "cannot be decoded"),
        (content(Image.new("F", (W, H)), "TIFF"), "floating-point"),
        (b"%PDF-1.4", "unknown format"),
    ],
)
def test_what_is_no_picture_is_named(data, message):
    with pytest.raises(InputError, match=f"cat/3.jpg.*{message}"):
        image.decode(data, "cat/3.jpg")


def test_a_file_that_promises_too_many_pixels_is_refused_before_it_is_read():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (9_000, 60_000):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
        with pytest.raises(InputError, match=r"bomb.png.*pixels"):
            image.decode(bomb, "bomb.png")


def test_a_folder_is_read_by_class(tmp_path):
    folder = put(
        tmp_path,
        cat__b_png=content(picture(seed=1)),
        cat__a_png=content(picture("L")),
        dog__c_bmp=content(picture(), "BMP"),
    )
    examples = image.read(folder, Faults())
    assert [(one["label"], one["height"], one["width"], one["channels"]) for one in light(examples)] == [
        ("cat", H, W, 1),
        ("cat", H, W, 3),
        ("dog", H, W, 3),
    ]
    assert all("pixels" not in one for one in light(examples))
    np.testing.assert_array_equal(examples[1]["pixels"], np.asarray(picture(seed=1)))


def test_a_broken_jpeg_in_the_middle_of_a_folder_is_named_or_skipped_and_counted(tmp_path):
    good = content(picture(size=(32, 32)), "JPEG")
    folder = put(tmp_path, cat__1_jpg=good, cat__2_jpg=good[: len(good) // 2], cat__3_jpg=good, dog__4_jpg=good)
    with pytest.raises(InputError, match=re.escape(str(folder / "cat" / "2.jpg"))):
        image.read(folder, Faults())
    faults = Faults(skip=True)
    assert [one["path"][-5:] for one in light(image.read(folder, faults))] == ["1.jpg", "3.jpg", "4.jpg"]
    (note,) = faults.notes("train")
    assert "train: 1 left out" in note
    assert "2.jpg" in note


def test_a_folder_without_a_good_picture_is_an_error_even_when_faults_are_skipped(tmp_path):
    with pytest.raises(InputError, match="no picture in it"):
        image.read(put(tmp_path, cat__1_jpg=b"x", dog__2_jpg=b"y"), Faults(skip=True))


def test_a_table_names_missing_columns_and_files(tmp_path):
    put(tmp_path, cat__1_png=content(picture()))
    table = tmp_path / "train.csv"
    table.write_text("path,label\ncat/1.png,cat\ncat/2.png,cat\n")
    with pytest.raises(InputError, match=r"train.csv:3: cat/2.png: no such file"):
        image.read(table, Faults())
    assert len(image.read(table, Faults(skip=True))) == 1
    table.write_text("picture,label\ncat/1.png,cat\n")
    with pytest.raises(InputError, match="no column 'path'"):
        image.read(table, Faults())
    table.write_text("path,animal\ncat/1.png,cat\n")
    with pytest.raises(InputError, match="no column 'label'"):
        image.read(table, Faults())


def test_the_common_size_is_that_of_most_scaled_down_where_it_is_too_large():
    sizes = [(5, 7)] * 3 + [(9, 9)] * 2
    examples = [{"height": height, "width": width} for height, width in sizes]
    assert image.common_size(examples, largest=96) == (5, 7)
    assert image.common_size([{"height": 300, "width": 1200}], largest=96) == (24, 96)
    assert image.common_size([{"height": 1, "width": 5000}], largest=96) == (1, 96)


def test_ways_to_make_a_wide_picture_square():
    pixels = np.zeros((4, 12, 3), "uint8")
    pixels[:, 4:8] = 255  # white in the middle
    square = {
        way: image.fit({"pixels": pixels}, size=(4, 4), channels=3, resize=way) for way in ("stretch", "crop", "pad")
    }
    assert np.all(square["crop"] == 255)
    assert square["pad"][0].max() == 0  # black above
    assert 0 < square["stretch"].mean() < 255
    assert {way: made.shape for way, made in square.items()} == dict.fromkeys(square, (4, 4, 3))


def test_what_is_made_smaller_is_averaged():
    stripes = np.tile(np.array([0, 255], "uint8"), (64, 32))[..., None]
    small = image.fit({"pixels": stripes}, size=(8, 8), channels=1, resize="stretch")
    assert np.abs(small.astype(int) - 127).max() < 30  # taking every eighth pixel would give 0 or 255


def test_channels_are_made_alike():
    grey = image.decode(content(picture("L")))
    three = image.fit({"pixels": grey}, size=(H, W), channels=3, resize="stretch")
    np.testing.assert_array_equal(three, np.repeat(grey, 3, axis=-1))
    assert image.fit({"pixels": three}, size=(H, W), channels=1, resize="stretch").shape == (H, W, 1)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_damaged_files_are_read_or_named(kind, mutations):
    data = content(picture(size=(11, 13)), kind)
    named, read = [], []
    for mutated in mutations(data, count=170):
        try:
            pixels = image.decode(mutated, "cat/3.jpg")
        except InputError as error:
            named.append("cat/3.jpg" in str(error))
        else:
            read.append((pixels.dtype, pixels.ndim, pixels.shape[-1] in (1, 3)))
    assert all(named)
    assert set(read) <= {(np.dtype("uint8"), 3, True)}
