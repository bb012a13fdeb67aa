"""`python seal.py COMMAND…`: give up system calls that confined code has no use for, then become the command.

A process may otherwise make itself a user namespace, in which it has every right over new ones: mounts of its own
(whose memory no limit counts) and much of the kernel that is not reachable else. Stands alone: it imports nothing of
Kfops. Needs no rights but "no new privileges", which it sets.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _DENY = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_NEW_USER = 0x10000000
_X32 = 0x40000000  # a second set of numbers on x86-64

# By machine: its number for the audit, clone, clone3, and what is refused: unshare, setns, mount, umount2, pivot_root,
# chroot, add_key, request_key, keyctl, bpf, userfaultfd, perf_event_open, io_uring_setup, open_by_handle_at, ptrace,
# process_vm_readv, process_vm_writev, fsopen, open_tree, move_mount, mount_setattr, swapon, init_module, finit_module,
# kexec_load, reboot.
_MACHINES = {
    "x86_64": (
        0xC000003E,
        56,
        435,
        (
            *(272, 308, 165, 166, 155, 161, 248, 249, 250, 321, 323, 298, 425, 304, 101, 310, 311, 430, 428),
            *(429, 442, 167, 175, 313, 246, 169),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        435,
        (
            *(97, 268, 40, 39, 41, 51, 217, 218, 219, 280, 282, 241, 425, 265, 117, 270, 271, 430, 428),
            *(429, 442, 224, 105, 273, 104, 142),
        ),
    ),
}


def main(command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    machine = _MACHINES.get(platform.machine())
    if machine is not None:  # elsewhere, the walls are the namespaces alone
        install(libc, program(*machine))
    os.execvp(command[0], command)  # noqa: S606 - argv, as everywhere


def program(audit: int, clone: int, clone3: int, refused: tuple[int, ...]) -> bytes:
    """In the kernel's packet-filter code: each instruction is (code, jump if so, jump if not, value)."""
    deny = (_RETURN, 0, 0, _DENY | errno.EPERM)
    absent = (_RETURN, 0, 0, _DENY | errno.ENOSYS)
    words = [
        *((_LOAD, 0, 0, _MACHINE), (_EQUAL, 1, 0, audit), absent),
        *((_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), absent),
        # Its flags are behind a pointer, which a filter cannot follow; libraries then use clone.
        *((_EQUAL, 0, 1, clone3), absent),
        *(word for number in refused for word in ((_EQUAL, 0, 1, number), deny)),
        *((_EQUAL, 1, 0, clone), (_RETURN, 0, 0, _ALLOW)),
        *((_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _NEW_USER), deny, (_RETURN, 0, 0, _ALLOW)),
    ]
    return b"".join(struct.pack("HBBI", *word) for word in words)


def install(libc: ctypes.CDLL, code: bytes) -> None:
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, head, 0, 0):
        raise OSError(ctypes.get_errno(), "system calls cannot be filtered here")


if __name__ == "__main__":
    main(sys.argv[1:])
