"""Runs a command with temporary servers, or with the warm ones of `just test-services`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import dovecot
import mariadb
import milvus
import object_stores
import processes
import servers
from wheels import Failure, mail_directory, model_directory, nats_directory, ocr_directory

PREFIX = "nvisy-services-"
# Below the home directory: test servers that keep running between runs.
WARM = "test-services"
# A file system in memory. Tests create thousands of databases, and a disk spends a twentieth of their time on the files.
MEMORY = Path("/dev/shm")
# More than the data of all tests, and what the tests need besides.
MEMORY_BYTES = 3 << 30


def run(home: Path, command: list, in_memory: bool) -> int:
    """Starts the servers, runs `command`, removes everything, and returns the command's exit status.

    Warm servers are used as they are, and stay. `in_memory`: the data of others is kept in memory if the machine has enough.
    """
    if not command:
        raise Failure("no command given: services run --throwaway -- COMMAND")
    _remove_leftovers(home)
    # From here on every exit removes the servers: a signal becomes an exception, or is forwarded to the command.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    warm = servers.Instance(home / WARM, home)
    try:
        if set(servers.status(warm).values()) == {"running"}:
            print(f"using the test services of {warm.directory}", file=sys.stderr, flush=True)
            return _foreground(command, _environment(home, warm.read()), None)
        return _with_own_servers(home, command, _memory() if in_memory else None)
    except _Interrupted as interrupted:
        return 128 + interrupted.number


def _memory() -> Path | None:
    """The file system in memory, if memory and file system have room: containers often give it 64 MB."""
    try:
        available = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable:"))
        room = min(int(available.split()[1]) << 10, shutil.disk_usage(MEMORY).free)
    except (OSError, StopIteration):
        return None
    return MEMORY if room >= MEMORY_BYTES and os.access(MEMORY, os.W_OK) else None


def _with_own_servers(home: Path, command: list, parent: Path | None) -> int:
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    instance = servers.Instance(directory, home)
    try:
        _record(directory, owner=processes.record(os.getpid()))
        state = servers.up(instance, list(servers.SERVERS), {"postgres": 0, "nats": 0}, throwaway=True)
        return _foreground(command, _environment(home, state), directory)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        servers.destroy(instance)


def _environment(home: Path, state: dict) -> dict:
    return os.environ | {
        "NVISY_TEST_DATABASE_URL": state["postgres"]["url"],
        "NVISY_TEST_NATS_URL": state["nats"]["url"],
        "NVISY_TEST_NATS_SERVER": str(nats_directory(home) / "nats-server"),
        "NVISY_TEST_SERVICES": str(Path(__file__).resolve().with_name("services")),
        "NVISY_TEST_MAIL_DIRECTORY": str(mail_directory(home)),
        "NVISY_TEST_DOVECOT": str(dovecot.PROGRAM),
        "NVISY_TEST_MARIADB": str(mariadb.directory(home)),
        "NVISY_TEST_MILVUS": str(milvus.directory(home)),
        "NVISY_TEST_OBJECT_STORES": str(object_stores.directory(home)),
        "NVISY_EMBEDDING_DIRECTORY": str(model_directory(home)),
        "NVISY_EXTRACT_OCR_DIRECTORY": str(ocr_directory(home)),
    }


def _foreground(command: list, environment: dict, directory: Path | None) -> int:
    """Runs the command to its end; `directory` records it for `_remove_leftovers`."""
    try:
        child = subprocess.Popen(command, env=environment, process_group=0)
    except OSError as error:
        raise Failure(f"cannot run {command[0]}: {error.strerror}") from None
    if directory:
        _record(directory, owner=processes.record(os.getpid()), command=processes.record(child.pid))
    # In its own process group, so that a signal also reaches the command's children (cargo, nextest).
    _set_foreground(child.pid)
    # The command is stopped if it used the terminal before it was in the foreground.
    _signal_group(child.pid, signal.SIGCONT)
    forwarded = []
    while True:
        try:
            # nextest gives its tests 10 s to end.
            status = child.wait(timeout=20 if forwarded else None)
            break
        except _Interrupted as interrupted:
            forwarded.append(interrupted.number)
            _signal_group(child.pid, interrupted.number)
        except subprocess.TimeoutExpired:
            _signal_group(child.pid, signal.SIGKILL)
    _signal_group(child.pid, signal.SIGKILL)
    _set_foreground(os.getpgrp())
    return status if status >= 0 else 128 - status


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _set_foreground(group: int) -> None:
    """Makes `group` the foreground process group of the terminal, if there is one."""
    if sys.stdin is None or not sys.stdin.isatty():
        return
    previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(sys.stdin.fileno(), group)
    except OSError:
        pass
    finally:
        signal.signal(signal.SIGTTOU, previous)


class _Interrupted(Exception):
    def __init__(self, number: int):
        self.number = number


def _interrupt(number, _frame):
    raise _Interrupted(number)


def _remove_leftovers(home: Path) -> None:
    """Removes servers, commands and directories of runs that were killed."""
    for directory in [*Path(tempfile.gettempdir()).glob(f"{PREFIX}*"), *MEMORY.glob(f"{PREFIX}*")]:
        try:
            if directory.stat().st_uid != os.geteuid():
                continue
            known = json.loads((directory / "processes.json").read_text())
        except (OSError, ValueError):
            continue
        if not processes.is_running(known["owner"]):
            if processes.is_running(known.get("command")):
                _signal_group(known["command"]["pid"], signal.SIGKILL)
            servers.destroy(servers.Instance(directory, home))


def _record(directory: Path, **known: dict) -> None:
    (directory / "processes.json").write_text(json.dumps(known))
