"""From images to sequences of tokens, row by row from the upper left.

Shapes: B batch, R rows and C columns of pixels, I channels, r rows and c columns of tokens, D width.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class _ImageTokens(keras.layers.Layer):
    """What both layers share: a grid of tokens, told by `grid`, laid out as a sequence."""

    def grid(self, image_shape: Any) -> tuple[Any, Any]:
        """The shape (B, R, C, I) of the images -> the rows and columns of tokens; None where the size is None."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(B, R, C, I) -> (B, r * c, D)."""
        rows, columns = self.grid(input_shape)
        return (input_shape[0], None if None in (rows, columns) else rows * columns, self.width)

    def _sequence(self, x: Any) -> Any:
        batch, rows, columns, width = ops.shape(x)
        return ops.reshape(x, (batch, rows * columns, width))  # (B, r * c, D)


@keras.saving.register_keras_serializable(package="suite")
class PatchEmbedding(_ImageTokens):
    """Cuts an image into patches and maps each linearly to a vector.

    A convolution whose stride is its kernel: token ``i * c + j`` is ``W x + b``, where x are the pixels of the patch in
    row i and column j of the r x c patches. Any number of channels and any resolution; `grid` tells r and c, which
    2-D positions need.

    Args:
        width: D.
        patch: the patch's side in pixels, or its rows and columns.
        pad: whether to fill an image that the patches do not divide with zeros, at its bottom and right. Otherwise
            such an image is an error.
        use_bias: whether there is a b.

    Call arguments:
        inputs: (B, R, C, I) floating point.

    Returns:
        (B, r * c, D).

    Raises:
        ValueError: for a width or patch below 1, and for images that are no (B, R, C, I) or that the patches do not
            divide. Where sizes are unknown until a compiled function runs, the backend raises its own error then.

    Example:

    >>> import numpy as np
    >>> layer = PatchEmbedding(8, patch=(2, 3))
    >>> tuple(layer(np.ones((5, 4, 9, 3), "float32")).shape), layer.grid((5, 4, 9, 3))
    ((5, 6, 8), (2, 3))

    Reference: Dosovitskiy et al. 2021, ViT, section 3.1, https://arxiv.org/abs/2010.11929.
    """

    def __init__(
        self, width: int, *, patch: int | tuple[int, int] = 16, pad: bool = False, use_bias: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        sides = (patch, patch) if isinstance(patch, int) else tuple(patch)
        if width < 1 or len(sides) != 2 or min(sides) < 1:
            raise ValueError(
                f"PatchEmbedding expects a width of at least 1 and a patch of one or two sides of at least 1. "
                f"Received: width={width}, patch={patch}"
            )
        self.width = width
        self.patch = patch if isinstance(patch, int) else sides
        self.sides = sides
        self.pad = pad
        self.use_bias = use_bias
        self.projection = keras.layers.Conv2D(
            width,
            sides,
            strides=sides,
            use_bias=use_bias,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="projection",
        )

    def build(self, input_shape: Any) -> None:
        """Make the filters for images (B, R, C, I)."""
        self.projection.build(_checked("PatchEmbedding", input_shape))

    def grid(self, image_shape: Any) -> tuple[Any, Any]:
        """The shape (B, R, C, I) of the images -> the rows and columns of patches; None where the size is None."""
        sizes = tuple(_checked("PatchEmbedding", image_shape)[1:3])
        divides = all(size is None or size % side == 0 for size, side in zip(sizes, self.sides, strict=True))
        if not (divides or self.pad):
            raise ValueError(
                f"PatchEmbedding expects images that patches of {self.sides[0]} x {self.sides[1]} divide, or pad=True. "
                f"Received: images of {sizes[0]} x {sizes[1]}"
            )
        rows, columns = (None if n is None else -(-n // side) for n, side in zip(sizes, self.sides, strict=True))
        return rows, columns

    def call(self, inputs: Any) -> Any:
        self.grid(inputs.shape)  # says what is wrong with an image that does not fit
        batch, rows, columns, channels = ops.shape(inputs)
        if self.pad:
            inputs = ops.pad(inputs, [(0, 0), (0, -rows % self.sides[0]), (0, -columns % self.sides[1]), (0, 0)])
        else:  # changes nothing, unless sizes unknown till now do not fit: a convolution would drop what is left over
            fits = (batch, rows // self.sides[0] * self.sides[0], columns // self.sides[1] * self.sides[1], channels)
            inputs = ops.reshape(inputs, fits)
        return self._sequence(self.projection(inputs))  # (B, r * c, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "patch": self.patch,
            "pad": self.pad,
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable(package="suite")
class ConvolutionalTokenizer(_ImageTokens):
    """Reads tokens from an image by small convolutions, so that neighbouring tokens overlap (CCT).

    `depth` times ``pool(relu(W * x))``: a convolution without bias, padded with zeros by half its kernel on each side,
    and a maximum over 3 x 3 at every second row and column. The grid of what is left is the sequence. Any number of
    channels and any resolution; a size of n pixels becomes ``ceil(ceil(n / stride) / 2)`` in each round.

    Args:
        width: D, the number of filters in the last round.
        depth: the number of rounds.
        channels: the number of filters in the rounds before the last.
        kernel: the side of the filters in pixels; odd.
        stride: the step of the convolution, in pixels.

    Call arguments:
        inputs: (B, R, C, I) floating point.

    Returns:
        (B, r * c, D).

    Raises:
        ValueError: where `kernel` is not odd, another number is below 1, or images are no (B, R, C, I).

    Example:

    >>> import numpy as np
    >>> layer = ConvolutionalTokenizer(8, depth=2)
    >>> tuple(layer(np.ones((5, 32, 20, 3), "float32")).shape), layer.grid((5, 32, 20, 3))
    ((5, 40, 8), (8, 5))

    Reference: Hassani et al. 2021, Compact Transformers, section 3.3, https://arxiv.org/abs/2104.05704. Differs from
    the authors' code: a kernel of 7 is padded by 3, not by 2.
    """

    def __init__(
        self, width: int, *, depth: int = 1, channels: int = 64, kernel: int = 3, stride: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if min(width, depth, channels, kernel, stride) < 1 or kernel % 2 == 0:
            raise ValueError(
                f"ConvolutionalTokenizer expects an odd kernel and numbers of at least 1. Received: width={width}, "
                f"depth={depth}, channels={channels}, kernel={kernel}, stride={stride}"
            )
        self.width = width
        self.depth = depth
        self.channels = channels
        self.kernel = kernel
        self.stride = stride
        self.convolutions = [
            keras.layers.Conv2D(
                width if i == depth else channels,
                kernel,
                strides=stride,
                use_bias=False,
                activation="relu",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=f"convolution_{i}",
            )
            for i in range(1, depth + 1)
        ]

    def build(self, input_shape: Any) -> None:
        """Make the filters for images (B, R, C, I)."""
        channels = _checked("ConvolutionalTokenizer", input_shape)[-1]
        for convolution in self.convolutions:
            convolution.build((None, None, None, channels))
            channels = self.channels

    def grid(self, image_shape: Any) -> tuple[Any, Any]:
        """The shape (B, R, C, I) of the images -> the rows and columns of tokens; None where the size is None."""
        rows, columns = _checked("ConvolutionalTokenizer", image_shape)[1:3]
        for step in (self.stride, 2) * self.depth:
            rows, columns = (None if n is None else -(-n // step) for n in (rows, columns))
        return rows, columns

    def call(self, inputs: Any) -> Any:
        x = inputs
        for convolution in self.convolutions:
            x = convolution(_frame(x, self.kernel // 2))  # (B, ceil(R / stride), ceil(C / stride), channels)
            # A zero is no larger than anything after ReLU, so it may stand for what is outside the image.
            x = ops.max_pool(_frame(x, 1), 3, 2, padding="valid", data_format="channels_last")
        return self._sequence(x)  # (B, r * c, D)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "width": self.width,
            "depth": self.depth,
            "channels": self.channels,
            "kernel": self.kernel,
            "stride": self.stride,
        }


def _checked(owner: str, shape: Any) -> Any:
    if len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            f"{owner} expects images (batch, rows, columns, channels), their channels known. "
            f"Received: shape {tuple(shape)}"
        )
    return shape


def _frame(x: Any, size: int) -> Any:
    return ops.pad(x, [(0, 0), (size, size), (size, size), (0, 0)])
