#!/usr/bin/env python3
"""The fairshare library from Python, by ctypes: a class to copy, and a small program around it.

    fairshare_ctypes.py status
    fairshare_ctypes.py resize --cpu 4 --mem-gib 16
    fairshare_ctypes.py release
    sudo fairshare_ctypes.py open-session 1000 4711
    sudo fairshare_ctypes.py close-session 7

It needs libfairshare.so.0, and nothing else beyond Python's own library. include/fairshare.h says
what each function and each figure means.
"""

import argparse
import ctypes
import os
import sys
from ctypes import POINTER, c_char_p, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

UNKNOWN = 2**64 - 1
FORCE = 1
OK = 0


class _Record(ctypes.Structure):
    """A structure of the header. Its first member is its size, set once here."""

    def __init__(self, **figures):
        super().__init__(size=ctypes.sizeof(self), **figures)

    def figures(self):
        """The figures by name, None for those that the daemon does not tell."""
        pairs = ((name, getattr(self, name)) for name, _ in self._fields_[1:])
        return {name: None if figure == UNKNOWN else figure for name, figure in pairs}


def _fields(*names):
    return [("size", c_size_t)] + [(name, c_uint64) for name in names]


class Wish(_Record):
    _fields_ = _fields("cpu", "mem", "tasks")


class Session(_Record):
    _fields_ = _fields("session", "cpu", "mem", "tasks")


class Status(_Record):
    _fields_ = _fields(
        "cpu", "mem", "tasks", "swap",
        "default_cpu", "default_mem", "default_tasks",
        "max_cpu", "max_mem", "max_tasks",
        "mem_used", "mem_cache", "tasks_used",
        "sessions", "grant", "differences",
    )  # fmt: skip


class FairshareError(Exception):
    """A call that failed. `code` is one of the header's enum fairshare_result."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Fairshare:
    """A client of the daemon. CPU is in CPUs here, memory in bytes."""

    def __init__(self, socket=None, timeout=5.0, library="libfairshare.so.0"):
        lib = ctypes.CDLL(library)
        # What a function takes and gives; without this, ctypes cuts pointers to 32 bits.
        for name, result, *arguments in (
            ("fairshare_client_new", c_void_p, c_char_p, c_uint32),
            ("fairshare_client_free", None, c_void_p),
            ("fairshare_error_message", c_char_p, c_void_p),
            ("fairshare_version", c_char_p),
            ("fairshare_status", c_int, c_void_p, POINTER(Status)),
            ("fairshare_resize", c_int, c_void_p, POINTER(Wish), c_uint32),
            ("fairshare_release", c_int, c_void_p, c_uint32),
            (
                "fairshare_open_session",
                c_int, c_void_p, c_uint32, c_int32, c_char_p, POINTER(Session),
            ),
            ("fairshare_close_session", c_int, c_void_p, c_uint64),
            ("fairshare_close_session_by_leader", c_int, c_void_p, c_uint32, c_int32),
        ):  # fmt: skip
            function = getattr(lib, name)
            function.restype = result
            function.argtypes = arguments
        self._lib = lib
        path = None if socket is None else os.fsencode(socket)
        self._client = lib.fairshare_client_new(path, round(timeout * 1000))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Frees the client. Sessions and grants stay as they are."""
        self._lib.fairshare_client_free(self._client)
        self._client = None

    def _call(self, name, *arguments):
        code = getattr(self._lib, name)(self._client, *arguments)
        if code != OK:
            message = self._lib.fairshare_error_message(self._client)
            raise FairshareError(code, message.decode())

    def version(self):
        """The library's version."""
        return self._lib.fairshare_version().decode()

    def status(self):
        """What the caller has, uses and may ask for."""
        status = Status()
        self._call("fairshare_status", ctypes.byref(status))
        return status

    def resize(self, cpu=None, mem=None, tasks=None, force=False):
        """Asks for more; what is None stays as it is."""
        wish = Wish(cpu=round((cpu or 0) * 1000), mem=mem or 0, tasks=tasks or 0)
        self._call("fairshare_resize", ctypes.byref(wish), FORCE if force else 0)

    def release(self, force=False):
        """Gives the grant back."""
        self._call("fairshare_release", FORCE if force else 0)

    def open_session(self, uid, pid, service=None):
        """Root's: a user has logged in. `session` is 0 where there is nothing to limit."""
        session = Session()
        name = None if service is None else service.encode()
        self._call("fairshare_open_session", uid, pid, name, ctypes.byref(session))
        return session

    def close_session(self, session):
        """Root's: the session of this number has ended."""
        self._call("fairshare_close_session", session)

    def close_session_by_leader(self, uid, pid):
        """Root's: the session that was opened for this user and process has ended."""
        self._call("fairshare_close_session_by_leader", uid, pid)


def _show(record):
    for name, figure in record.figures().items():
        if figure is None:
            continue
        if name.endswith("cpu"):
            print(f"{name}: {figure / 1000:g} CPUs")
        elif "mem" in name or name == "swap":
            print(f"{name}: {figure / 2**20:g} MiB")
        else:
            print(f"{name}: {figure}")


def main():
    parser = argparse.ArgumentParser(description="fairshare from Python")
    parser.add_argument("--socket", help="the daemon's socket")
    parser.add_argument("--library", default="libfairshare.so.0", help="name or path")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("status")
    resize = commands.add_parser("resize")
    resize.add_argument("--cpu", type=float)
    resize.add_argument("--mem-gib", type=float)
    resize.add_argument("--tasks", type=int)
    resize.add_argument("--force", action="store_true")
    release = commands.add_parser("release")
    release.add_argument("--force", action="store_true")
    opened = commands.add_parser("open-session")
    opened.add_argument("uid", type=int)
    opened.add_argument("pid", type=int)
    closed = commands.add_parser("close-session")
    closed.add_argument("session", type=int)
    options = parser.parse_args()

    with Fairshare(options.socket, library=options.library) as fairshare:
        try:
            if options.command == "status":
                _show(fairshare.status())
            elif options.command == "resize":
                mem = None if options.mem_gib is None else round(options.mem_gib * 2**30)
                fairshare.resize(options.cpu, mem, options.tasks, options.force)
            elif options.command == "release":
                fairshare.release(options.force)
            elif options.command == "open-session":
                _show(fairshare.open_session(options.uid, options.pid, "fairshare_ctypes"))
            else:
                fairshare.close_session(options.session)
        except FairshareError as error:
            print(f"fairshare_ctypes: {error} ({error.code})", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
