"""What every layer promises: padding is never read, batch rows are independent, it saves, learns and runs in half."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest

from suite import layers

B, T, C, D = 3, 7, 5, 22  # batch, words, characters, width

SEQUENCE = {
    "attention": lambda **k: layers.MultiHeadAttention(3, head_width=10, position=layers.Rotary(), **k),
    "attention_relative": lambda **k: layers.MultiHeadAttention(2, position=layers.RelativeBias(), **k),
    "bidirectional": lambda **k: layers.Bidirectional(
        layers.LSTM(11, return_sequences=True, dtype=k.get("dtype")), **k
    ),
    "convolution": lambda **k: layers.ConvolutionBlock(3, **k),
    "convolution_dilated": lambda **k: layers.ConvolutionBlock(5, dilation=3, **k),
    "convolutional_decoder": lambda **k: layers.ConvolutionalDecoder(
        3, layers.ConvolutionalDecoderBlock(3, dtype=k.get("dtype")), dilations=(1, 2), **k
    ),
    "convolutional_position": lambda **k: layers.ConvolutionalPosition(window=3, **k),
    "encoder": lambda **k: layers.Encoder(
        2,
        layers.EncoderBlock(2, feed_forward=13, dtype=k.get("dtype")),
        position=layers.RelativeBias(dtype=k.get("dtype")),
        **k,
    ),
    "encoder_block": lambda **k: layers.EncoderBlock(2, feed_forward=13, **k),
    "encoder_block_injected": lambda **k: layers.EncoderBlock(
        layers.MultiHeadAttention(3, head_width=10, position=layers.Rotary()),
        feed_forward=layers.FeedForward(13, activation="gelu"),
        placement="post",
        **k,
    ),
    "feed_forward": lambda **k: layers.FeedForward(13, **k),
    "gru": lambda **k: layers.GRU(13, return_sequences=True, **k),
    "lstm": lambda **k: layers.LSTM(13, return_sequences=True, **k),
    "nearest": lambda **k: layers.NearestAttention(2, nearest=1, **k),
    "recurrent_decoder": lambda **k: layers.RecurrentDecoder(2, **k),
    "recurrent_decoder_gru": lambda **k: layers.RecurrentDecoder(2, cell="GRU", **k),
    "repeated": lambda **k: layers.Repeated(
        layers.EncoderBlock(2, feed_forward=13, dtype=k.get("dtype")), steps=3, **k
    ),
    "sinusoidal": lambda **k: layers.Sinusoidal(**k),
}
INTEGER = {
    "characters": lambda **k: layers.CharacterEmbedding(17, width=11, character_width=5, **k),
    "tokens": lambda **k: layers.TokenEmbedding(17, width=11, token_dropout=0.2, **k),
}
EVERY = SEQUENCE | INTEGER


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(11)


def example(name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """An input for the layer, and its mask where it takes one: rows of 7, 4 and 1 real positions."""
    rng = np.random.default_rng(5)
    mask = np.arange(T) < np.array([[7], [4], [1]])
    if name in SEQUENCE:
        takes_mask = name not in ("feed_forward", "sinusoidal")
        return rng.normal(size=(B, T, D)).astype("float32"), {"mask": mask} if takes_mask else {}
    shape = (B, T, C) if name == "characters" else (B, T)
    return rng.integers(1, 17, size=shape).astype("int32"), {}


def numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))


def as_model(name: str) -> tuple[keras.Model, list[np.ndarray]]:
    x, masks = example(name)
    inputs = [keras.Input(a.shape[1:], dtype=a.dtype.name) for a in (x, *masks.values())]
    outputs = EVERY[name]()(inputs[0], **dict(zip(masks, inputs[1:], strict=True)))
    return keras.Model(inputs, outputs), [x, *masks.values()]


@pytest.mark.parametrize("name", SEQUENCE)
def test_content_under_padding_changes_nothing(name):
    x, masks = example(name)
    layer = SEQUENCE[name]()
    mask = np.arange(T) < np.array([[7], [4], [1]])
    before, after = layer(x, **masks), layer(np.where(mask[..., None], x, 50.0).astype("float32"), **masks)
    np.testing.assert_allclose(numpy(before)[mask], numpy(after)[mask], atol=1e-5)


@pytest.mark.parametrize("name", SEQUENCE)
def test_the_amount_of_padding_changes_nothing(name):
    x, masks = example(name)
    layer = SEQUENCE[name]()
    long, short = layer(x, **masks), layer(x[1:, :4], **{k: m[1:, :4] for k, m in masks.items()})
    np.testing.assert_allclose(numpy(long)[1, :4], numpy(short)[0], atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_rows_of_a_batch_do_not_meet(name):
    x, masks = example(name)
    layer = EVERY[name]()
    together, alone = layer(x, **masks), layer(x[1:2], **{k: m[1:2] for k, m in masks.items()})
    np.testing.assert_allclose(numpy(together)[1], numpy(alone)[0], atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_a_saved_model_gives_the_same_outputs(name, tmp_path):
    model, arrays = as_model(name)
    for weight in model.weights:  # away from zeros and ones, so that a lost weight shows
        if "seed" not in weight.path:
            weight.assign(np.random.default_rng(3).normal(size=weight.shape))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict_on_batch(arrays), loaded.predict_on_batch(arrays))
    assert loaded.count_params() == model.count_params()


@pytest.mark.parametrize("name", EVERY)
def test_the_configuration_makes_the_layer_again(name):
    layer = EVERY[name](name="mine", dtype="mixed_bfloat16")
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.dtype_policy.name == "mixed_bfloat16"


# Every argument of every constructor, none at its default; those of positions are in their own tests.
BLOCK = {
    "attention": ...,
    "feed_forward": ...,
    "dropout": 0.1,
    "norm": ...,
    "placement": "sandwich",
    "parallel": True,
    "layer_scale": 0.5,
    "drop_path": 0.1,
}
STACK = {
    "depth": 2,
    "block": ...,
    "position": ...,
    "dropout": 0.1,
    "final_norm": "rms",
    "remat": True,
    "drop_path": 0.1,
}
ATTENTION = {
    "heads": 6,
    "kv_heads": 3,
    "head_width": 5,
    "value_width": 7,
    "dropout": 0.1,
    "use_bias": False,
    "query_key_norm": True,
    "scale": 0.5,
    "soft_cap": 30.0,
    "window": 11,
    "position": ...,
}
PLAIN_SCORES = {k: v for k, v in ATTENTION.items() if k not in ("soft_cap", "window", "position", "scale")}
ARGUMENTS = {
    layers.AdditiveAttention: ATTENTION,
    layers.AdditiveNoise: {"low": 5.0, "high": 30.0, "share": 0.25, "seed": 3},
    layers.AttentionPooling: {"hidden": 7},
    layers.Bidirectional: {
        "layer": layers.LSTM(7, return_sequences=True, zero_output_for_mask=True, name="forward_lstm")
    },
    layers.CharacterEmbedding: {"vocabulary": 17, "width": 5, "character_width": 7, "window": 5},
    layers.ChunkedAttention: {**ATTENTION, "chunk": 13},
    layers.ClassToken: {},
    layers.ConvolutionBlock: {"kernel": 5, "dilation": 2, "dropout": 0.1},
    layers.ConvolutionalDecoder: {
        **STACK,
        "block": layers.ConvolutionalDecoderBlock(5),
        "position": layers.Sinusoidal(),
        "dilations": (1, 3),
    },
    layers.ConvolutionalDecoderBlock: {
        "kernel": 5,
        "dilation": 2,
        "cross_attention": ...,
        "dropout": 0.1,
        "norm": ...,
        "drop_path": 0.1,
    },
    layers.ConvolutionalFrames: {"width": 5, "activation": "relu"},
    layers.ConvolutionalPosition: {"window": 3},
    layers.ConvolutionalTokenizer: {"width": 5, "depth": 2, "channels": 7, "kernel": 5, "stride": 2},
    layers.Decoder: STACK,
    layers.DecoderBlock: {**BLOCK, "cross_attention": ...},
    layers.Dropout: {"rate": 0.25},
    layers.Encoder: STACK,
    layers.EncoderBlock: BLOCK,
    layers.EncoderDecoder: {"embedding": ..., "encoder": ..., "decoder": ..., "tie": False, "source_embedding": ...},
    layers.FeedForward: {"hidden": 7, "activation": "gelu", "gated": True, "use_bias": False, "dropout": 0.1},
    layers.FirstPooling: {},
    layers.FrameEmbedding: {"width": 5, "features": ...},
    layers.FusedAttention: {**ATTENTION, "flash": False},
    layers.GRU: {"units": 7, "return_sequences": True},
    layers.LSTM: {"units": 7, "return_sequences": True},
    layers.LanguageModel: {"embedding": ..., "decoder": ..., "tie": False},
    layers.LayerNormalization: {"epsilon": 0.01},
    layers.LinearAttention: {**PLAIN_SCORES, "feature_map": "relu"},
    layers.LocalAttention: ATTENTION,
    layers.LogMel: {
        "mels": 7,
        "rate": 8000,
        "window": 200,
        "stride": 80,
        "low": 20.0,
        "high": 3000.0,
        "normalize": False,
    },
    layers.MaxPooling: {},
    layers.MeanPooling: {},
    layers.MultiHeadAttention: ATTENTION,
    layers.NearestAttention: {**ATTENTION, "nearest": 2},
    layers.PatchEmbedding: {"width": 5, "patch": (2, 3), "pad": True, "use_bias": False},
    layers.RecurrentDecoder: {"depth": 2, "cell": "GRU", "cross_attention": ..., "dropout": 0.1},
    layers.RelativeAttention: {**ATTENTION, "project": False},
    layers.RelativeLevel: {"span": 60.0},
    layers.Repeated: {"block": ..., "steps": 3},
    layers.Residual: {"norm": ..., "placement": "post", "dropout": 0.1, "drop_path": 0.1, "layer_scale": 0.5},
    layers.Roles: {"roles": 3},
    layers.SpecAugment: {
        "frames": 1,
        "frame_width": 7,
        "frame_share": 0.3,
        "bands": 3,
        "band_width": 5,
        "value": -1.0,
        "seed": 3,
    },
    layers.TalkingHeadsAttention: ATTENTION,
    layers.TimeShift: {"limit": 7, "seed": 3},
    layers.TrainingOnly: {"layer": ...},
    layers.TokenEmbedding: {"vocabulary": 17, "width": 5, "token_dropout": 0.1, "scale": True},
}
ABSTRACT = {layers.Block, layers.Pooling}
NESTED = {
    "attention": lambda: layers.MultiHeadAttention(7),
    "block": lambda: layers.DecoderBlock(7, feed_forward=11),
    "cross_attention": lambda: layers.MultiHeadAttention(5),
    "decoder": lambda: layers.Decoder(2, layers.DecoderBlock(7, feed_forward=11, cross_attention=3)),
    "embedding": lambda: layers.TokenEmbedding(11, width=7),
    "encoder": lambda: layers.Encoder(2, layers.EncoderBlock(7, feed_forward=11)),
    "features": lambda: layers.LogMel(7),
    "feed_forward": lambda: layers.FeedForward(11),
    "layer": lambda: keras.layers.GaussianNoise(0.25),
    "norm": lambda: keras.layers.LayerNormalization(epsilon=1e-3),
    "position": lambda: layers.Rotary(wavelength=99.0),
    "source_embedding": lambda: layers.PatchEmbedding(7),
}


@pytest.mark.parametrize("cls", ARGUMENTS, ids=lambda cls: cls.__name__)
def test_the_configuration_holds_every_argument(cls):
    given = {k: NESTED[k]() if v is ... else v for k, v in ARGUMENTS[cls].items()}
    own = set().union(
        *(
            inspect.signature(c.__init__).parameters
            for c in cls.__mro__
            if c.__module__.startswith("suite") and "__init__" in vars(c)  # those of Keras's are Keras's to keep
        )
    )
    expected = own - {"self", "kwargs", "args"} - set(inspect.signature(keras.layers.Layer.__init__).parameters)
    assert set(given) >= expected - {"soft_cap", "window", "position", "scale"}
    config = cls(**given).get_config()
    for key, value in given.items():
        expected = keras.saving.serialize_keras_object(value) if isinstance(value, keras.layers.Layer) else value
        assert config[key] == expected
    again = cls.from_config(config).get_config()
    assert again == config


def test_every_layer_is_among_these():
    exported = {getattr(layers, name) for name in layers.__all__}
    found = {c for c in exported if isinstance(c, type) and issubclass(c, keras.layers.Layer)}
    assert {c for c in found if not issubclass(c, layers.Position)} - ABSTRACT == set(ARGUMENTS)


@pytest.mark.parametrize("name", [name for name in EVERY if name != "sinusoidal"])
def test_every_weight_learns(name):
    model, arrays = as_model(name)
    before = {w.path: numpy(w) for w in model.trainable_weights}
    model.compile(keras.optimizers.SGD(1.0), "mse")
    target = np.random.default_rng(7).normal(size=model.predict_on_batch(arrays).shape)
    model.train_on_batch(arrays, target)
    # A bias of the keys adds the same to all scores of a query, which softmax cancels; Rotary alone makes it matter.
    idle = () if "rotary" in name or name in ("attention", "encoder_block_injected") else ("key/bias",)
    still = [w.path for w in model.trainable_weights if np.allclose(before[w.path], numpy(w), atol=1e-7)]
    assert [path for path in still if not path.endswith(idle)] == []
    assert len(before) > 0


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", EVERY)
def test_half_precision_stays_near_single_precision(name, policy):
    x, masks = example(name)
    single, half = EVERY[name](), EVERY[name](dtype=policy)
    expected = single(x, **masks)
    half.build(x.shape)
    half.set_weights(single.get_weights())
    output = half(x, **masks)
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    np.testing.assert_allclose(numpy(output), numpy(expected), atol=0.1, rtol=0.1)


def test_a_table_shared_by_a_stack_is_one_weight_and_stays_one(tmp_path):
    model, _ = as_model("encoder")
    model.save(tmp_path / "model.keras")
    for one in (model, keras.models.load_model(tmp_path / "model.keras")):
        assert [w.path.split("/")[-1] for w in one.weights].count("bias_table") == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.MultiHeadAttention(0), "Received: heads=0"),
        (lambda: layers.MultiHeadAttention(2, head_width=0), "head_width=0"),
        (
            lambda: layers.MultiHeadAttention(5).build((B, T, D)),
            r"heads=5 divide.*query of shape \(3, 7, 22\)",
        ),
        (lambda: layers.EncoderBlock(2, feed_forward=3, norm="mean"), "one of .'layer', 'rms'.*norm='mean'"),
        (lambda: layers.Encoder(0, layers.EncoderBlock(2, feed_forward=3)), "at least 1. Received: depth=0"),
        (lambda: layers.FeedForward(0), "at least 1. Received: hidden=0"),
        (lambda: layers.ConvolutionBlock(4), "odd kernel.*Received: kernel=4"),
        (lambda: layers.ConvolutionalPosition(window=4), "odd window. Received: window=4"),
        (lambda: layers.ConvolutionBlock(3, dilation=0), "dilation=0"),
        (lambda: layers.CharacterEmbedding(9, width=4, window=2), "odd window. Received: window=2"),
        (lambda: layers.TokenEmbedding(1, width=4), "at least 2.*Received: vocabulary=1"),
        (lambda: layers.TokenEmbedding(9, width=4, token_dropout=1.0), "token_dropout=1.0"),
        (lambda: layers.RelativeBias(buckets=7), "even number of buckets.*buckets=7"),
        (lambda: layers.RelativeBias(buckets=32, max_distance=8), "max_distance above.*max_distance=8"),
        (
            lambda: layers.Rotary().rotate(np.ones((1, 2, 3, 5), "float32"), np.arange(3)),
            "even head width.*head width 5",
        ),
        (lambda: layers.Sinusoidal().build((B, T, 5)), r"even width. Received: inputs of shape \(3, 7, 5\)"),
    ],
)
def test_impossible_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
