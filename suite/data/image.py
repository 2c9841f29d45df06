"""Pictures: any file that Pillow reads as 8-bit pixels, at the size that a model wants.

    {"path": "cat/3.jpg", "label": "cat", "digest": "...", "height": 480, "width": 640, "channels": 3, "pixels": [...]}

Pixels are uint8 (H, W, C), with one channel for grey pictures and three, red, green and blue, for all others. A light
example has no pixels; its file is decoded each time that the whole example is asked for.

Shapes: H height, W width, C channels.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from suite.data import folders
from suite.data.lazy import Lazy
from suite.errors import InputError
from suite.faults import Faults
from suite.task import Example

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
LARGEST = 2**26
"""Pixels of the largest picture that is read: a small file may promise more of them than there is memory."""

Resize = Literal["stretch", "crop", "pad"]

_ORIENTATION = 0x0112  # an EXIF tag; some of its values say that rows are columns
_ON_ITS_SIDE = (5, 6, 7, 8)
_EXPECTED = "expected a picture, such as a JPEG or PNG file"


def read(path: Path, faults: Faults) -> Lazy:
    """The pictures of a folder of folders by class, or of a CSV or TSV file of paths and labels; see `folders.read`.

    Each file is decoded once to see that it can be, and again whenever its example is asked for.

    Args:
        path: the folder or the table.
        faults: told of what cannot be used.

    Raises:
        InputError: nothing in it can be used.
    """
    light = folders.read(path, faults, suffixes=SUFFIXES, describe=lambda file: _sizes(decode(file)), kind="picture")
    return Lazy(light, lambda one: {**one, "pixels": decode(Path(one["path"]))})


def example(path: Path) -> dict[str, Any]:
    """One picture without a label.

    Raises:
        InputError: it is no picture that can be used.
    """
    pixels = decode(path)
    return {"path": str(path), **_sizes(pixels), "pixels": pixels}


def in_memory(labels: Sequence[str], pictures: Sequence[np.ndarray]) -> Lazy:
    """Examples whose pixels (H, W, C) are at hand, as a dataset of small pictures has them."""
    light = []
    for number, (label, pixels) in enumerate(zip(labels, pictures, strict=True)):
        digest = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
        light.append({"number": number, "label": label, "digest": digest, **_sizes(pixels)})
    return Lazy(light, lambda one: {**one, "pixels": pictures[one["number"]]})


def decode(source: Path | bytes, name: str = "") -> np.ndarray:
    """The pixels of a picture, uint8 (H, W, C), C being 1 for grey ones and 3 for others.

    It is turned upright where the file says how; of an animation the first frame is taken; 16-bit pixels lose their
    lower 8 bits; transparent pixels are laid on white.

    Args:
        source: the file or its bytes. What it is, its content tells, whatever its name.
        name: what messages call it; by default the file's path.

    Raises:
        InputError: the file cannot be read, is no picture, is broken or cut off, or has more than `LARGEST` pixels.
    """
    name = name or str(source)
    try:
        content = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise InputError(f"{name}: {reason}; {_EXPECTED}") from error
    with _opened(content, name) as picture:
        return _pixels(picture)


def sizes(content: bytes, name: str) -> dict[str, int]:
    """Height, width and channels of the picture in a file, of which only the beginning is read. Raises as `decode`."""
    with _opened(content, name) as picture:
        turned = picture.getexif().get(_ORIENTATION, 1) in _ON_ITS_SIDE
        height, width = (picture.width, picture.height) if turned else (picture.height, picture.width)
        return {"height": height, "width": width, "channels": 1 if _is_grey(picture) else 3}


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Image.Image]:
    """The picture in a file; whatever goes wrong with it becomes an InputError."""
    from PIL import Image

    if not content:
        raise InputError(f"{name}: the file is empty; {_EXPECTED}")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > LARGEST:
                raise InputError(
                    f"{name}: {picture.width:,} x {picture.height:,} pixels; expected at most {LARGEST:,} in all"
                )
            yield picture
    except InputError:
        raise
    except Exception as error:  # its decoders raise whatever goes wrong in them on a broken file
        reason = "unknown format" if isinstance(error, Image.UnidentifiedImageError) else str(error).strip().rstrip(".")
        raise InputError(f"{name}: cannot be decoded ({reason or type(error).__name__}); {_EXPECTED}") from error


def common_size(examples: Sequence[Example], *, largest: int) -> tuple[int, int]:
    """The height and width that most examples have; of equals the larger. Scaled down to sides of at most `largest`.

    Args:
        examples: light ones will do.
        largest: pixels.
    """
    counts = Counter((example["height"], example["width"]) for example in examples)
    (height, width), _ = max(counts.items(), key=lambda entry: (entry[1], entry[0]))
    scale = min(1.0, largest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def fit(example: Example, *, size: Sequence[int], channels: int, resize: Resize) -> np.ndarray:
    """The pixels of an example at a size: uint8 (H, W, C). What is made smaller is smoothed, so that lines stay whole.

    Args:
        example: with ``pixels``.
        size: H and W.
        channels: C, 1 or 3; a grey picture has three equal ones.
        resize: for a picture of other proportions. ``"stretch"`` gives it the new ones, ``"crop"`` cuts its middle out,
            ``"pad"`` lays it on black.
    """
    from PIL import Image, ImageOps

    pixels = np.asarray(example["pixels"], "uint8")
    height, width = size
    if pixels.shape[:2] == (height, width) and pixels.shape[-1] == channels:
        return pixels
    picture = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
    picture = picture.convert("RGB" if channels == 3 else "L")
    if picture.size != (width, height):
        smooth = Image.Resampling.BICUBIC
        if resize == "crop":
            picture = ImageOps.fit(picture, (width, height), smooth)
        elif resize == "pad":
            picture = ImageOps.pad(picture, (width, height), smooth)
        else:
            picture = picture.resize((width, height), smooth)
    return _array(picture)


def _pixels(picture: Image.Image) -> np.ndarray:
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise ValueError("its pixels are floating-point numbers")
    if picture.mode.startswith("I"):  # 16 bits, whatever holds them
        return (np.clip(np.asarray(picture), 0, 2**16 - 1) >> 8).astype("uint8")[..., None]  # (H, W, 1)
    grey = _is_grey(picture)
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white
    return _array(picture.convert("L" if grey else "RGB"))


def _is_grey(picture: Image.Image) -> bool:
    return picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I")


def _array(picture: Image.Image) -> np.ndarray:
    pixels = np.asarray(picture)
    return pixels[..., None] if pixels.ndim == 2 else pixels  # (H, W, C)


def _sizes(pixels: np.ndarray) -> dict[str, int]:
    height, width, channels = pixels.shape
    return {"height": height, "width": width, "channels": channels}
