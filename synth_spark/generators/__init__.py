"""One file per way of making records.

The sampling loops are compiled by numba and kept on disk. Numba looks only at the file of a kernel
to tell whether what it kept is stale, not at the kernels of other files that it calls, and it keeps
them beside the source, which may be read-only or a zip. So they are kept in the user's own cache
folder, under a hash of all files of this room. `NUMBA_CACHE_DIR` wins.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def fingerprint() -> str:
    """A hash of all files of this room."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _cache_folder() -> Path:
    """A folder of the user's own for the compiled kernels of exactly this source."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "synth_spark" / f"kernels-{fingerprint()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    # a home that is missing or read-only: a folder for this process alone
    return folder if usable else Path(tempfile.mkdtemp(prefix="synth_spark-kernels-"))


if not os.environ.get("NUMBA_CACHE_DIR"):
    os.environ["NUMBA_CACHE_DIR"] = str(_cache_folder())
