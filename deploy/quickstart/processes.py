"""Background processes: start detached, recognise again, wait for health, stop.

A process is remembered as (pid, start time, program), so that a number the kernel has given to somebody
else since is never mistaken for ours, let alone killed. Reads /proc: Linux only.
"""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from wheels import Failure


def start(command: list, log: Path, environment: dict, account: dict | None = None, directory: str = "/") -> subprocess.Popen:
    """Starts `command` in a session of its own, output appended to `log`. `account`: see `account.py`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as output:
        return subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, cwd=directory, env=environment, **(account or {}))


def record(pid: int) -> dict:
    """What to write down about a process, for `is_running` later."""
    # A process just started has no arguments yet: the kernel lets its parent run on a little before they are in place.
    eventually(lambda: _program(pid) or not is_alive(pid), 5)
    stat = _stat(pid)
    return {"pid": pid, "started": stat and stat[19], "program": _program(pid)}


def is_running(known: dict | None) -> bool:
    """Whether the recorded process is still that very process, and not a zombie."""
    if not known:
        return False
    stat = _stat(known["pid"])
    if stat is None or stat[0] == "Z" or stat[19] != known["started"]:
        return False
    return _program(known["pid"]) == known["program"]


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it is more than a zombie."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def ask(known: dict | None, number: signal.Signals) -> None:
    """Sends a signal to the process and does not wait. Nothing when it is gone."""
    if is_running(known):
        _signal(known["pid"], number)


def stop(known: dict | None, gentle: signal.Signals, patience: float) -> None:
    """Sends `gentle`, and SIGKILL when the process is still there after `patience` seconds. Nothing when it is gone."""
    ask(known, gentle)
    if not eventually(lambda: not is_running(known), patience):
        kill_with_children(known)


def kill_with_children(known: dict | None) -> None:
    """SIGKILL for the process and its direct children, as a power cut would."""
    if not is_running(known):
        return
    # Stopped first, so that it starts no further child between the listing and the kill.
    _signal(known["pid"], signal.SIGSTOP)
    family = [known["pid"], *_children(known["pid"])]
    for pid in family:
        _signal(pid, signal.SIGKILL)
    if not eventually(lambda: not any(is_alive(pid) for pid in family), 10):
        raise Failure(f"process {known['pid']} ({known['program']}) does not end")


def eventually(condition, seconds: float) -> bool:
    """Polls `condition` until it holds; False when it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def size(log: Path) -> int:
    """The log's present size, to tell later what came after."""
    return log.stat().st_size if log.exists() else 0


def tail(log: Path, start: int = 0, lines: int = 20) -> str:
    """The last lines of a log from the byte `start` on, indented for an error message."""
    try:
        with open(log, "rb") as handle:
            handle.seek(max(start, size(log) - 16_384))
            text = handle.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        text = []
    return "\n".join(f"    {line}" for line in text) or "    (nothing logged)"


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # Servers set it too: a port with connections in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def any_free_port() -> int:
    """A port nobody listens on now. Somebody may take it before we do: callers try again."""
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
