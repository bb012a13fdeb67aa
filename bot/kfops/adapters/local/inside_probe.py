"""`python -I -S inside_probe.py`: what code in a sandbox can reach; one JSON object on standard output.

Stands alone: it imports nothing of Kfops. A sandbox that is well answers with empty lists and a user that is not root.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

_TOKENS = ("/var/run/secrets/kubernetes.io/serviceaccount/token", "/run/secrets/kubernetes.io")
_OUTSIDE = (("1.1.1.1", 443), ("169.254.169.254", 80))  # the world; the clouds' metadata
_WITHIN_S = 2.0


def reached() -> list[str]:
    found = []
    inside = os.environ.get("KUBERNETES_SERVICE_HOST")
    for host, port in (*_OUTSIDE, *(((inside, 443),) if inside else ())):
        try:
            with socket.create_connection((host, port), timeout=_WITHIN_S):
                found.append(f"{host}:{port}")
        except OSError:
            continue
    return found


def written() -> list[str]:
    found = []
    for folder in ("/", "/usr", "/etc", "/opt"):
        try:
            place = Path(folder) / "kfops-probe"
            place.write_text("")
            place.unlink()
        except OSError:
            continue
        found.append(folder)
    return found


if __name__ == "__main__":
    tokens = [path for path in _TOKENS if Path(path).exists()]
    answer = {"user": os.getuid(), "tokens": tokens, "reached": reached(), "written": written()}
    os.write(1, json.dumps(answer).encode())
