"""A process that has the package loaded, and runs each command of the command line in a process of its own.

`python forking.py SOCKET` listens there. A connection sends a request, JSON, with the ends of the pipes that
become standard output and error, and gets two lines back: the number of the new process, and in the end what
`os.waitpid` says of it. The process is one like any other: it has its own number, is killed by that, and
shares neither memory nor open files with others. It only does not load the package anew, so that many can be
killed in the time of one.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import faults

LOADED = (
    "torch",
    "matplotlib.figure",
    "iminuit",
    "ultranest",
    "ultranest.mlfriends",
    "ultranest.popstepsampler",
)


def _load() -> None:
    from smeft_unbinned.cli import COMMANDS

    for name in COMMANDS:
        importlib.import_module(f"smeft_unbinned.cli.{name}")
    for name in (
        "smeft_unbinned.estimators",
        "smeft_unbinned.report",
        "smeft_unbinned.processes.vh",
        *LOADED,
    ):
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)


def _command(request: dict[str, Any], ends: list[int]) -> None:
    """Become the command; does not return."""
    code = 1
    try:
        os.setsid()
        for end, number in zip(ends, (1, 2), strict=True):
            os.dup2(end, number)
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for name, arguments in request["faults"]:
            getattr(faults, name)(*arguments)
        from smeft_unbinned.cli import main

        main(request["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                code = code or 120  # as the interpreter ends
        os._exit(code)


def _keep(connection: socket.socket) -> None:
    """Start a command, tell its number, wait for it, and tell how it ended; does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, ends, _, _ = socket.recv_fds(connection, 2**16, 2)
    child = os.fork()
    if child == 0:
        connection.close()
        _command(json.loads(text), ends)
    for end in ends:
        os.close(end)
    connection.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def main() -> None:
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(sys.argv[1])
        listener.listen(16)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:  # until the tests end
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(connection)
            connection.close()
    Path(sys.argv[1]).unlink()


if __name__ == "__main__":
    main()
