"""What a build on this machine sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kfops.adapters.local.sandbox_places import bind, system

# For names of hosts and users, certificates, and how buildah is set up; not the bot's settings, which lie here too.
_ETC = (
    "alternatives",
    "ca-certificates",
    "containers",
    "group",
    "hosts",
    "localtime",
    "nsswitch.conf",
    "passwd",
    "pki",
    "resolv.conf",
    "ssl",
)


def walls(bwrap: Path, read: Sequence[Path], write: Sequence[Path]) -> list[str]:
    """Words before a command of root's: the system, these folders and the network are there. No other file, device or
    process of this machine is, nor any mount of it afterwards.
    """
    return [
        str(bwrap),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--cap-add", "ALL"),
        *system(),
        *(word for name in _ETC for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")),
        *("--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"),
        *("--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/run"),  # noqa: S108 - inside
        *(word for place in write for word in bind("--bind", place, place)),
        *(word for place in read for word in bind("--ro-bind", place, place)),
        "--",
    ]
