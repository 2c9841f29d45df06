"""Where data comes from: a folder of the user's own, the folder named by SUITE_DATA, a cache, the network, or
TensorFlow Datasets.

Everything that is fetched is checked against a checksum. Without a network a missing dataset is an error within
seconds, never a silent substitute.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from suite.errors import InputError, did_you_mean

_CONNECT_SECONDS = 3.0
_CHUNK = 1 << 16  # bytes
_ADVICE = "connect to the network, or name a folder that has the data with --data-dir or the variable SUITE_DATA"


def data_home() -> Path:
    """The folder that keeps what was downloaded, in the user's cache: below XDG_CACHE_HOME, else below ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "keras-task-suite"


def find_file(names: Sequence[str], *, data_dir: Path | None, subfolder: str) -> Path | None:
    """The first file of one of these names, or None.

    Looks in `data_dir`, in the folder in it that is named like the last part of `subfolder`, in `subfolder` below it;
    then in `subfolder` below the folder that SUITE_DATA names, then below `data_home`.

    Raises:
        InputError: `data_dir`, or the folder that SUITE_DATA names, is not a folder.
    """
    folders = []
    if data_dir is not None:
        _check_folder(data_dir, "--data-dir")
        folders += [data_dir, data_dir / Path(subfolder).name, data_dir / subfolder]
    folders += [root / subfolder for root in (_suite_data(), data_home()) if root is not None]
    candidates = (folder / name for folder in folders for name in names)
    return next((path for path in candidates if path.is_file()), None)


def sha256(path: Path) -> str:
    """The SHA-256 checksum of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, *, sha256: str, target: Path, timeout: float = _CONNECT_SECONDS) -> Path:
    """Fetches a file and returns `target`, which appears only when the file is whole and its checksum is right.

    Args:
        url: where it is.
        sha256: its checksum in hexadecimal digits.
        target: the file to write; its folder is made. A file that is there already is replaced.
        timeout: seconds to wait for an answer, and for each piece of the file.

    Raises:
        InputError: there is no network, the server does not give the file, or the file is not the expected one.
    """
    if not reachable(url, timeout=timeout):
        raise InputError(f"{url} cannot be reached to fetch {target.name}: {_ADVICE}")
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            part = Path(file.name)
            found = _fetch(url, file, timeout=timeout)
        if found != sha256:
            raise InputError(f"{url} is not the file it was: expected SHA-256 {sha256}, got {found}")
        part.replace(target)
    except OSError as error:
        raise InputError(f"{url} cannot be fetched to {target}: {error}; {_ADVICE}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return target


def _fetch(url: str, file: IO[bytes], *, timeout: float) -> str:
    """Writes what is at this address to an open file and returns its SHA-256."""
    import http.client
    import urllib.request  # here, since it is most of what importing this module would cost

    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            while piece := response.read(_CHUNK):
                digest.update(piece)
                file.write(piece)
    except http.client.HTTPException as error:
        raise OSError(f"the server does not speak HTTP: {error!r}") from error
    return digest.hexdigest()


def reachable(url: str, *, timeout: float = _CONNECT_SECONDS) -> bool:
    """Whether anything answers at this address, directly or through the proxy of the environment, within `timeout`."""
    import http.client
    import urllib.error
    import urllib.request

    answered = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout):
                answered.append(True)
        except urllib.error.HTTPError as error:
            error.close()
            answered.append(True)  # an answer, if not a good one
        except (OSError, http.client.HTTPException):
            pass

    # In a thread, since the look-up of a host's name knows no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(timeout)
    return bool(answered)


def tfds_prepared(name: str, *, data_dir: Path | None) -> bool:
    """Whether TensorFlow Datasets has this dataset ready. Does not import it."""
    return bool(_prepared_folders(name, data_dir))


def tfds_parts(
    name: str, *, splits: Mapping[str, str], origin: str, data_dir: Path | None, encoded: Sequence[str] = ()
) -> tuple[Mapping[str, Any], dict[str, Sequence[Mapping[str, Any]]]]:
    """A dataset from TensorFlow Datasets: its features by name, and its examples by split.

    Reads what is prepared below `data_dir`, the folder that SUITE_DATA names, or where TensorFlow Datasets keeps its
    own. Else downloads and prepares it, below the first of these that is given, in the array_record format, which is
    read without TensorFlow; what was prepared in another format is read with it.

    Args:
        name: as TensorFlow Datasets calls it, such as ``"glue/sst2"``.
        splits: our split -> theirs, such as ``{"train": "train", "validation": "dev", "test": "test"}``.
        origin: an address of the server from which TensorFlow Datasets would download; it is asked first.
        data_dir: a folder of the user's own.
        encoded: features, such as pictures, of which the bytes of the file are wanted and not the content.

    Raises:
        InputError: the name is unknown, or the dataset is not prepared and cannot be.
    """
    prepared = _prepared_folders(name, data_dir)
    with _quiet_tfds() as tfds:
        known = tfds.list_builders(with_community_datasets=False)
        if name.partition("/")[0] not in known:
            near = difflib.get_close_matches(name, known)
            raise InputError(f"TensorFlow Datasets has no dataset {name!r}; {did_you_mean(name, near)}")
        if prepared:
            builder = tfds.builder(name, data_dir=prepared[0])
        else:
            builder = tfds.builder(name, data_dir=_tfds_folders(data_dir)[0], file_format="array_record")
            _prepare(builder, origin)
        options = {"decoders": {feature: tfds.decode.SkipDecoding() for feature in encoded}} if encoded else {}
        if builder.info.file_format is tfds.core.FileFormat.ARRAY_RECORD:
            parts = {ours: builder.as_data_source(split=theirs, **options) for ours, theirs in splits.items()}
        else:
            parts = {
                ours: list(tfds.as_numpy(builder.as_dataset(split=theirs, **options)))
                for ours, theirs in splits.items()
            }
        return builder.info.features, parts


def _prepare(builder: Any, origin: str) -> None:
    # Without a network TensorFlow Datasets tries again for minutes.
    if not reachable(origin):
        raise InputError(f"{builder.name} is not prepared, and {origin} cannot be reached to fetch it: {_ADVICE}")
    try:
        builder.download_and_prepare()
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"TensorFlow Datasets cannot prepare {builder.name}: {error}") from error


@contextmanager
def _quiet_tfds() -> Iterator[Any]:
    """TensorFlow Datasets without progress bars, log messages and questions to a hub."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        import tensorflow_datasets as tfds

        tfds.disable_progress_bar()
        yield tfds
    finally:
        logger.setLevel(level)


def _tfds_folders(data_dir: Path | None) -> list[Path]:
    default = os.environ.get("TFDS_DATA_DIR") or Path.home() / "tensorflow_datasets"
    return [Path(folder) for folder in (data_dir, _suite_data(), default) if folder is not None]


def _prepared_folders(name: str, data_dir: Path | None) -> list[Path]:
    return [folder for folder in _tfds_folders(data_dir) if any(folder.glob(f"{name}/**/dataset_info.json"))]


def _suite_data() -> Path | None:
    value = os.environ.get("SUITE_DATA")
    if not value:
        return None
    _check_folder(Path(value), "SUITE_DATA")
    return Path(value)


def _check_folder(path: Path, source: str) -> None:
    if not path.is_dir():
        raise InputError(f"{source}: {path} is not a folder")
