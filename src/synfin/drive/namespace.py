"""Network namespaces without names: they live while somebody holds them, so nothing is left behind by any exit.

``Namespace.make`` unshares one, takes hold of it by a file descriptor and goes back; ``inside`` visits it; ``enter``
is for a child that stays.  Who is not root may first ``become_admin``: a user namespace in which this process has the
capabilities that a network of its own needs (user_namespaces(7)).  The calls are Python's from 3.12 on; until then
they are made through the C library.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synfin.drive import netlink
from synfin.errors import UsageError

NEWNS, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
_PR_SET_TIMERSLACK = 29
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21

_libc = ctypes.CDLL(None, use_errno=True)


def has_capability(number: int) -> bool:
    """Whether this process has an effective capability (capabilities(7))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def may_make_networks() -> bool:
    """Whether this process may make network namespaces and devices in them."""
    return has_capability(_CAP_NET_ADMIN) and has_capability(_CAP_SYS_ADMIN)


def become_admin() -> None:
    """Get the right to make networks, by a user namespace where this process has it not; UsageError when neither is.

    User and group stay what they are; in a user namespace the network is an empty new one, for there is no way back
    into one that belongs to others.  Must be called before any thread is started.
    """
    if may_make_networks():
        return
    user, group = os.geteuid(), os.getegid()
    try:
        unshare(NEWUSER | NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError as error:
        raise UsageError(
            f"needs CAP_NET_ADMIN and CAP_SYS_ADMIN, and user namespaces are closed here ({error.strerror}): "
            "run it as root"
        ) from error


def unshare(flags: int) -> None:
    """unshare(2); OSError when the kernel refuses."""
    _checked(_libc.unshare(flags))


def setns(fd: int, kind: int = 0) -> None:
    """setns(2); OSError when the kernel refuses."""
    _checked(_libc.setns(fd, kind))


def mount(source: str, target: str, kind: str, flags: int) -> None:
    """mount(2); OSError when the kernel refuses."""
    _checked(_libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None))


def unmount(target: str) -> None:
    """umount2(2), at once for the name and in time for who still uses it; OSError when the kernel refuses."""
    _checked(_libc.umount2(target.encode(), _MNT_DETACH))


def exact_timers() -> None:
    """Have this process woken when it asked to be, and not up to 50 microseconds later (PR_SET_TIMERSLACK)."""
    _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Namespace:
    """A network namespace, held by ``fd``."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def here(cls) -> Namespace:
        """The one this thread is in."""
        return cls(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    @classmethod
    def make(cls) -> Namespace:
        """A new one, its loopback up; UsageError without the right to make it."""
        home = cls.here()
        try:
            unshare(NEWNET)
            try:
                made = cls.here()
                netlink.up("lo")
            finally:
                setns(home.fd, NEWNET)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                raise UsageError("needs CAP_SYS_ADMIN to make a network namespace: run it as root") from error
            raise UsageError(f"cannot make a network namespace: {error.strerror}") from error
        finally:
            home.close()
        return made

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be in it for a while: sockets and devices made meanwhile belong to it for good."""
        home = Namespace.here()
        try:
            setns(self.fd, NEWNET)
            try:
                yield
            finally:
                setns(home.fd, NEWNET)
        finally:
            home.close()

    def enter(self) -> None:
        """Go in and stay."""
        setns(self.fd, NEWNET)

    def close(self) -> None:
        """Let go: it ends when no process, socket or other descriptor holds it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
