"""How rotary embeddings reach positions beyond those of training: by other frequencies, all fixed beforehand.

Rules that follow the length of the input (dynamic NTK) are left out, because keys in a cache are turned once.

Shapes: R features that are turned; wavelengths and lengths are in positions.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, Self

import keras
import numpy as np

from suite.layers import positions


@dataclasses.dataclass(frozen=True, kw_only=True)
class RotaryScaling(abc.ABC):
    """A rule for the frequencies of `Rotary`; each subclass is one.

    Args:
        factor: how many times longer the sequences become, at least 1.

    Raises:
        ValueError: where `factor` is below 1.
    """

    factor: float

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"{type(self).__name__} expects a factor of at least 1. Received: factor={self.factor}")

    @abc.abstractmethod
    def frequencies(self, width: int, wavelength: float) -> np.ndarray:
        """R, the base of the wavelengths -> R / 2 angles per position."""

    @property
    def attention_factor(self) -> float:
        """What turned queries and keys are multiplied by."""
        return 1.0

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The inverse of `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="suite")
@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearScaling(RotaryScaling):
    """Position interpolation: every frequency is divided by the factor, so positions are squeezed into those known.

    Args:
        factor: how many times longer the sequences become, at least 1.

    Example:

    >>> LinearScaling(factor=4.0).frequencies(4, 100.0).tolist()
    [0.25, 0.025]

    Reference: Chen et al. 2023, equation 4, https://arxiv.org/abs/2306.15595.
    """

    def frequencies(self, width: int, wavelength: float) -> np.ndarray:
        return positions.frequencies(width, wavelength) / self.factor


@keras.saving.register_keras_serializable(package="suite")
@dataclasses.dataclass(frozen=True, kw_only=True)
class NTKScaling(RotaryScaling):
    """NTK-aware scaling: a larger base, ``wavelength * factor ** (R / (R - 2))``.

    The fastest frequency stays as it is, the slowest is divided by the factor, and those between by some of it.

    Args:
        factor: how many times longer the sequences become, at least 1.

    Raises:
        ValueError: where R is below 4.

    Example:

    >>> NTKScaling(factor=4.0).frequencies(4, 100.0).round(4).tolist()
    [1.0, 0.025]

    Reference: bloc97 2023, NTK-Aware Scaled RoPE; Peng et al. 2023, YaRN, section 3.1,
    https://arxiv.org/abs/2309.00071.
    """

    def frequencies(self, width: int, wavelength: float) -> np.ndarray:
        if width < 4:
            raise ValueError(f"NTKScaling expects at least 4 features to turn. Received: {width}")
        return positions.frequencies(width, wavelength * self.factor ** (width / (width - 2)))


@keras.saving.register_keras_serializable(package="suite")
@dataclasses.dataclass(frozen=True, kw_only=True)
class YaRNScaling(RotaryScaling):
    """YaRN: fast frequencies stay, slow ones are divided by the factor, and there is a ramp between.

    A frequency stays if it turns more than `beta_fast` times within the trained length, and is divided if it turns
    less than `beta_slow` times. Queries and keys are multiplied by ``0.1 ln(factor) + 1`` each, which sharpens
    attention.

    Args:
        factor: how many times longer the sequences become, at least 1.
        length: the length of the sequences in training.
        beta_fast: turns, from which on a frequency stays.
        beta_slow: turns, up to which it is divided.
        truncate: whether the ramp begins and ends at whole frequencies.

    Example:

    >>> scaling = YaRNScaling(factor=4.0, length=64, beta_fast=4.0)
    >>> scaling.frequencies(8, 100.0).round(4).tolist()
    [1.0, 0.2372, 0.05, 0.0079]

    Reference: Peng et al. 2023, sections 3.2 to 3.4, https://arxiv.org/abs/2309.00071. Differs from the paper as its
    code and the models trained with it do: the ramp is linear in the number of the frequency, not in its turns.
    """

    length: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 1 or not 0 < self.beta_slow < self.beta_fast:
            raise ValueError(
                "YaRNScaling expects a length of at least 1 and beta_fast above beta_slow above 0. "
                f"Received: length={self.length}, beta_fast={self.beta_fast}, beta_slow={self.beta_slow}"
            )

    @property
    def attention_factor(self) -> float:
        return 0.1 * math.log(self.factor) + 1.0

    def frequencies(self, width: int, wavelength: float) -> np.ndarray:
        def number(turns: float) -> float:  # of the frequency that turns so often within the trained length
            return width * math.log(self.length / (turns * 2 * math.pi)) / (2 * math.log(wavelength))

        low, high = number(self.beta_fast), number(self.beta_slow)
        if self.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, width - 1)
        divided = np.clip((np.arange(width // 2) - low) / max(high - low, 0.001), 0, 1)  # (R / 2)
        kept = positions.frequencies(width, wavelength)
        return kept * (1 - divided) + kept / self.factor * divided


@keras.saving.register_keras_serializable(package="suite")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Llama3Scaling(RotaryScaling):
    """Llama 3.1's rule: like YaRN's, with a ramp in the turns within the trained length and no attention factor.

    Args:
        factor: how many times longer the sequences become, at least 1.
        length: the length of the sequences in training.
        low: turns, up to which a frequency is divided by the factor.
        high: turns, from which on it stays.

    Example:

    >>> Llama3Scaling(factor=4.0, length=64).frequencies(8, 100.0).round(4).tolist()
    [1.0, 0.2546, 0.0255, 0.0079]

    Reference: Grattafiori et al. 2024, The Llama 3 Herd of Models, https://arxiv.org/abs/2407.21783, and its code.
    """

    length: int
    low: float = 1.0
    high: float = 4.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 1 or not 0 < self.low < self.high:
            raise ValueError(
                "Llama3Scaling expects a length of at least 1 and high above low above 0. "
                f"Received: length={self.length}, low={self.low}, high={self.high}"
            )

    def frequencies(self, width: int, wavelength: float) -> np.ndarray:
        kept = positions.frequencies(width, wavelength)  # (R / 2)
        turns = self.length * kept / (2 * math.pi)
        stays = np.clip((turns - self.low) / (self.high - self.low), 0, 1)
        return kept * stays + kept / self.factor * (1 - stays)
