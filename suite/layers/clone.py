"""Layers as prototypes: their configuration, and new layers from it."""

from __future__ import annotations

from typing import Any, TypeVar

import keras

L = TypeVar("L", bound=keras.layers.Layer)


def clone(layer: L, **changes: Any) -> L:
    """A new layer with another's configuration but for these changes, and with weights of its own."""
    return type(layer).from_config({**_unshared(layer.get_config()), **changes})


def recipe(layer: Any) -> Any:
    """What `keras.saving` can make the layer from; anything else, such as a name or None, is its own recipe."""
    return _unshared(keras.saving.serialize_keras_object(layer)) if isinstance(layer, keras.layers.Layer) else layer


def _unshared(config: Any) -> Any:
    """A copy without the marks by which Keras, while it loads a model, makes one object of all that have the same."""
    if isinstance(config, dict):
        return {k: _unshared(v) for k, v in config.items() if k != "shared_object_id"}
    return [_unshared(v) for v in config] if isinstance(config, list) else config
