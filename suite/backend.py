"""Choosing backend, device and precision, before Keras is imported for the first time."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import importlib.util
import logging
import os
import platform
import sys
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from suite.errors import InputError

if TYPE_CHECKING:
    import keras

MODULES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


@dataclasses.dataclass(frozen=True)
class Backend:
    """What computes: the backend's name and version, the device's name, and the precision in use."""

    name: str
    version: str
    device: str
    precision: str


def prepare(*, device: str = "auto", precision: str = "auto") -> Backend:
    """Imports Keras on the chosen backend and device, quietly, and sets its precision.

    The backend is `KERAS_BACKEND`, else TensorFlow, else whichever of JAX and PyTorch is installed.

    Args:
        device: `auto` takes a GPU where there is one.
        precision: `auto` is bfloat16 (float32 weights) on a GPU and float32 elsewhere.

    Raises:
        InputError: no backend is installed, or a GPU was asked for and there is none.
    """
    name = _choose_backend()
    os.environ["KERAS_BACKEND"] = name
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ["JAX_PLATFORMS"] = "cpu"
    _silence(name)
    with quiet_standard_error():
        import keras

        gpu = _gpu_name(name)
    if device == "gpu" and not gpu:
        raise InputError(f"--device gpu: {name} sees no GPU here; use --device auto or --device cpu")
    if precision == "auto":
        precision = "bfloat16" if gpu else "float32"
    keras.config.set_dtype_policy(precision if precision == "float32" else f"mixed_{precision}")
    if name == "tensorflow":
        import tensorflow as tf

        # Repeats of a seeded run, and runs resumed from a checkpoint, must be bit-identical.
        tf.config.experimental.enable_op_determinism()
        # Products that TensorFlow 2.21 joins with what follows took forty times as long in a compiled language model on
        # a CPU: 3.3 s instead of 0.09 s for 4,096 tokens, three blocks of width 128. Elsewhere little is lost.
        tf.config.optimizer.set_experimental_options({"remapping": False})
    version = importlib.import_module(MODULES[name]).__version__
    return Backend(name, version, gpu or cpu_name(), precision)


def compiled(layer: keras.layers.Layer, function: Callable[..., Any], *, xla: bool = False) -> Callable[..., Any]:
    """``function(layer, *tensors)``, compiled for inference, as a function of the tensors alone.

    TensorFlow makes it a `tf.function`, on a GPU and for weights of int8 with XLA, without which products of int8 take
    seven times as long on a CPU (elsewhere it takes two to four times as long to compile); JAX uses `jit`, and both
    compile once for each set of shapes and types; PyTorch runs it as it is, in inference mode. The layer's weights are
    read at each call: training it further needs no new function. On JAX they are arguments, for as constants they would
    be folded into the program. The layer is held weakly, so that whoever keeps the function keeps no model alive.

    Args:
        layer: a built layer or model.
        function: called with the layer, which it may call as it likes, and with tensors, or tuples, named tuples and
            dictionaries of them.
        xla: whether TensorFlow takes XLA in any case.
    """
    from keras import StatelessScope, backend

    held: Any = weakref.ref(layer)
    run = functools.partial(_call, held, function)
    if backend.backend() == "torch":
        import torch

        return torch.inference_mode()(run)
    if backend.backend() == "tensorflow":
        import tensorflow as tf

        gpu = bool(tf.config.list_physical_devices("GPU"))
        functions = {int8: tf.function(run, autograph=False, jit_compile=gpu or xla or int8) for int8 in (False, True)}
        return lambda *arguments: functions[any(v.dtype == "int8" for v in held().variables)](*arguments)
    import jax

    @jax.jit
    def pure(values: list[Any], *arguments: Any) -> Any:
        with StatelessScope(state_mapping=list(zip(held().variables, values, strict=True))):
            return run(*arguments)

    return lambda *arguments: pure([variable.value for variable in held().variables], *arguments)


def _call(held: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    return function(held(), *arguments)


def fed(batches: keras.utils.PyDataset) -> Any:
    """One epoch's batches, as `Model.fit` takes them without waiting at the end.

    On TensorFlow that is a `tf.data.Dataset` that tunes nothing. The one that Keras makes of a `PyDataset` without
    workers tunes itself in a thread that sleeps twice as long each time, and the end of an epoch may wait until it
    wakes: a short run on one processor did for a fifth of its time.

    Args:
        batches: tuples of arrays, or of dictionaries of them. The first two say which axes vary, as Keras reads it.
    """
    from keras import backend

    if backend.backend() != "tensorflow" or batches.workers > 1:
        return batches
    import tensorflow as tf

    def common(*arrays: Any) -> Any:
        sizes = [set(axis) for axis in zip(*(array.shape[1:] for array in arrays), strict=True)]
        return tf.TensorSpec((None, *(size.pop() if len(size) == 1 else None for size in sizes)), arrays[0].dtype)

    count = len(batches)
    signature = tf.nest.map_structure(common, *(batches[i] for i in range(min(2, count))))
    dataset = tf.data.Dataset.from_generator(lambda: map(batches.__getitem__, range(count)), output_signature=signature)
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2).with_options(options)


def cpu_name() -> str:
    """The processor's name and the number of cores that this process may use."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf8") as lines:  # noqa: PTH123 - not a file, and absent off Linux
            model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {processors()} cores"


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _choose_backend() -> str:
    name = os.environ.get("KERAS_BACKEND", "")
    if name:
        if name not in MODULES:
            raise InputError(f"KERAS_BACKEND={name}: expected one of {', '.join(MODULES)}")
        if importlib.util.find_spec(MODULES[name]) is None:
            raise InputError(f"KERAS_BACKEND={name}: the package {MODULES[name]} is not installed")
        return name
    for candidate, module in MODULES.items():
        if importlib.util.find_spec(module) is not None:
            return candidate
    raise InputError("no deep-learning framework is installed: install tensorflow, jax or torch")


def _silence(name: str) -> None:
    """TensorFlow and its libraries report their start at length on stderr; none of it concerns the user."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if name == "tensorflow":
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", category=DeprecationWarning)


@contextlib.contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Holds back what compiled libraries write to standard error while they load; shows it if loading fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _gpu_name(name: str) -> str:
    if name == "tensorflow":
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else ""
    if name == "jax":
        import jax

        device = jax.devices()[0]
        return device.device_kind if device.platform == "gpu" else ""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
