"""Where tests keep their databases: in memory, if there is room.

A database has 500 files, and each test that wants one makes and removes it. On a disk (ext4) that
takes a second, most of it for passing over the places of files that were just removed; in memory a
twentieth of it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEMORY = Path("/dev/shm")
IN_MEMORY = (
    _MEMORY.is_dir()
    and os.access(_MEMORY, os.W_OK)
    and shutil.disk_usage(_MEMORY).free > 8e9
    and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
)
#: A folder with a short name that every account can enter.
BASE = _MEMORY if IN_MEMORY else Path("/tmp")


@contextmanager
def short_folder() -> Iterator[Path]:
    """A new folder with a short name (a socket's path has 107 bytes), open to other accounts."""
    folder = Path(tempfile.mkdtemp(prefix="hw-", dir=BASE))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
