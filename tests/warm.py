"""Processes that have imported everything already: forks of one that waits with it.

Many tests start the program, and kill it, as a process of its own. Its modules are the same each
time, and their import takes 2 s of processor. Here a process that has done it forks itself; what
is forked is a process like any other: it can be killed, and nobody else feels it. What a start
from nothing does is tested where it is asked about (``tests/unit/cli/test_main.py``).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

from pipeline.cli.lazy import COMMANDS

# What the program's command does; more may stand before it.
RUN = "from pipeline.cli.main import run; run()"
OUTRIDER = [sys.executable, "-c", RUN]

_NUMBER = struct.Struct("i")
_LONGEST = 1 << 17
_server = []


class _Fork(subprocess.Popen):
    """What ``subprocess.Popen([sys.executable, "-c", CODE, ...])`` gives, without the import."""

    def _execute_child(self, args, *how):
        """The one place where the original makes the process, and where its end is told."""
        _, _, _, _, cwd, env = how[:6]
        pipes = how[9:15]
        python, option, code, *words = args
        assert (python, option) == (sys.executable, "-c")
        given = os.environ if env is None else env
        job = [code, words, str(cwd or Path.cwd()), dict(given)]
        self._told, telling = os.pipe()
        ends = (pipes[0], pipes[3], pipes[5])  # the process's own of each pipe; -1 is ours
        streams = [own if fd == -1 else fd for own, fd in enumerate(ends)]
        try:
            socket.send_fds(_waiting(), [json.dumps(job).encode()], [*streams, telling])
        finally:
            os.close(telling)
            self._close_pipe_fds(*pipes)
        self.pid = _number(self._told)
        self._child_created = True

    def _internal_poll(self, *_args, **_how):
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)
        return self.returncode

    def _try_wait(self, wait_flags):
        """As waitpid, for a process that is the child of another."""
        if wait_flags & os.WNOHANG and not select.select([self._told], [], [], 0)[0]:
            return 0, 0
        status = _number(self._told)
        os.close(self._told)
        return self.pid, status


# Elsewhere a fork of what has loaded the system's frameworks is not safe.
Popen = _Fork if sys.platform == "linux" else subprocess.Popen


def run(args, *, timeout=300, **how):
    """What ``subprocess.run(..., check=False)`` gives, for text that is captured."""
    with Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how) as process:
        try:
            said, log = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(args, process.returncode, said, log)


def _number(fd):
    data = os.read(fd, _NUMBER.size)
    assert data, "the process that forks has ended"
    return _NUMBER.unpack(data)[0]


def _waiting():
    """The connection to this process's server, which is started when it is needed first."""
    if not _server:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", "tests.warm", str(theirs.fileno())]
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        server = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=env)
        theirs.close()
        atexit.register(_end, ours, server)
        _server.append(ours)
    return _server[0]


def _end(ours, server):
    ours.close()
    server.wait()


def _serve(connection):
    """Fork for each job; returns only in a process that is to do one: its code."""
    for module, _ in COMMANDS.values():
        importlib.import_module(module)
    assert threading.active_count() == 1, "a thread would be missing in every fork"
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a watcher ended
    while True:
        data, fds, _, _ = socket.recv_fds(connection, _LONGEST, 4)
        if not data:
            sys.exit()
        if os.fork() == 0:
            connection.close()
            return _watched(json.loads(data), fds)
        for fd in fds:
            os.close(fd)


def _watched(job, fds):
    """Fork once more, to tell its number and how it ends; returns in the last process."""
    *streams, telling = fds
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    worker = os.fork()
    if worker:
        for fd in streams:
            os.close(fd)
        os.write(telling, _NUMBER.pack(worker))
        _, status = os.waitpid(worker, 0)
        os.write(telling, _NUMBER.pack(status))
        os._exit(0)
    os.close(telling)
    for own, fd in enumerate(streams):
        os.dup2(fd, own)
        os.close(fd)
    code, words, folder, environment = job
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    time.tzset()
    random.seed()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["-c", *words]
    return code


if __name__ == "__main__":
    held = socket.socket(fileno=int(sys.argv[1]))
    code = _serve(held)
    main = sys.modules["__main__"] = ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), main.__dict__)  # noqa: S102 # a test's own
