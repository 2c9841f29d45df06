"""Writing files whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from suite.errors import RunError


def write_atomically(path: Path, content: bytes | str) -> None:
    """Writes a file so that at any moment, even after a kill, either the old or the new content is there.

    Raises:
        RunError: no space is left, or the folder cannot be written. The old file is as it was.
    """
    data = content.encode("utf8") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        reason = "no space left on the device" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise RunError(f"{path}: cannot be written: {reason}") from error
    except BaseException:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise
