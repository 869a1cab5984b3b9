"""Background processes: start detached, identify later, wait for health, stop.

A process is recorded as (pid, start time, program), so that a pid which the kernel has reused is never mistaken for
it and never killed. Reads /proc: Linux only.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from wheels import Failure


def start(command: list, log: Path, environment: dict, account: dict | None = None, directory: str = "/") -> subprocess.Popen:
    """Starts `command` in its own session and appends its output to `log`. `account`: see `account.py`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        return subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, cwd=directory, env=environment, **(account or {}))


def record(pid: int) -> dict:
    """The record of a process, for `is_running`."""
    # The kernel lets the parent continue before the arguments of a new process are in place.
    eventually(lambda: _program(pid) or not is_alive(pid), 5)
    stat = _stat(pid)
    return {"pid": pid, "started": stat and stat[19], "program": _program(pid)}


def is_running(known: dict | None) -> bool:
    """Whether the recorded process still runs under its pid and is not a zombie."""
    if not known:
        return False
    stat = _stat(known["pid"])
    if stat is None or stat[0] == "Z" or stat[19] != known["started"]:
        return False
    return _program(known["pid"]) == known["program"]


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def send_signal(known: dict | None, number: signal.Signals) -> None:
    """Sends a signal to the process without waiting. Does nothing if the process has ended."""
    if is_running(known):
        _signal(known["pid"], number)


def stop(known: dict | None, number: signal.Signals, timeout_seconds: float) -> None:
    """Sends the signal, and SIGKILL if the process still runs after the timeout."""
    send_signal(known, number)
    if not eventually(lambda: not is_running(known), timeout_seconds):
        kill_with_children(known)


def kill_with_children(known: dict | None) -> None:
    """Sends SIGKILL to the process and its direct children, like a power failure."""
    if not is_running(known):
        return
    # Stopped first, so that it starts no further child between listing and kill.
    _signal(known["pid"], signal.SIGSTOP)
    family = [known["pid"], *_children(known["pid"])]
    for pid in family:
        _signal(pid, signal.SIGKILL)
    if not eventually(lambda: not any(is_alive(pid) for pid in family), 10):
        raise Failure(f"process {known['pid']} ({known['program']}) does not end")


def eventually(condition, seconds: float) -> bool:
    """Polls `condition` until it holds; False if it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def size(log: Path) -> int:
    """The current size of the log, as a `start` for `tail`."""
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, start: int = 0, lines: int = 20) -> str:
    """The last lines of a log after byte `start`, indented for an error message."""
    try:
        with open(log, "rb") as handle:
            handle.seek(max(start, size(log) - 16_384))
            text = handle.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        text = []
    return "\n".join(f"    {line}" for line in text) or "    (nothing logged)"


def is_free(port: int) -> bool:
    """Whether a server can listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: a port with connections in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def any_free_port() -> int:
    """A port that is free now. Another program may take it first, so callers retry."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise Failure(f"process {pid} belongs to another user; use that user, or root") from None


def _stat(pid: int) -> list | None:
    """The fields of /proc/<pid>/stat after the program name: [0] state, [1] parent, [19] start time."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _program(pid: int) -> str | None:
    try:
        return os.fsdecode(Path("/proc", str(pid), "cmdline").read_bytes().split(b"\0")[0])
    except OSError:
        return None


def _children(parent: int) -> list:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if (stat := _stat(pid)) and int(stat[1]) == parent]
