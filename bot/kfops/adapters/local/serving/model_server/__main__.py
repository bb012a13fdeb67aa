"""`python -m model_server DIRECTORY SOCKET NAME VERSION REVISION [PACKAGES]`: load, warm up, then listen.

The socket appears when the first request can be answered. Exit codes: 3, the model cannot be loaded; 4, it does not
fit into the memory allowed. The last line on standard error says why.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

CANNOT_LOAD = 3
OUT_OF_MEMORY = 4
_KEEP_ALIVE_S = 3600  # longer than the proxy's: only the proxy closes idle connections


def main(directory: str, socket: str, name: str, version: str, revision: str, packages: str = "") -> int:
    # One row is predicted faster without threads of its own, and two revisions share the machine.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    if packages:
        sys.path.insert(0, packages)  # the model's own libraries, in the versions that it was trained with
    try:
        import uvicorn

        from .app import Identity, application
        from .model import load

        model = load(Path(directory))
        model.warm(Path(directory))
        app = application(model, Identity(name, version, revision))
    except MemoryError:
        traceback.print_exc()
        return OUT_OF_MEMORY
    except Exception:  # noqa: BLE001 - whatever the model's code raises
        traceback.print_exc()
        return CANNOT_LOAD
    os.chdir(Path(socket).parent)  # the kernel allows 107 bytes for a socket's path
    uvicorn.run(
        app,
        uds=Path(socket).name,
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        lifespan="off",
        server_header=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
