"""Runs a command against fresh servers that disappear with it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import processes
import servers
from wheels import Failure, mail_directory, model_directory, nats_directory

PREFIX = "nvisy-services-"


def run(home: Path, command: list) -> int:
    """Starts the servers, runs `command`, removes everything. Returns the command's exit status."""
    if not command:
        raise Failure("no command given: services run --throwaway -- COMMAND")
    _sweep(home)
    # From here on every way out passes the removal: a signal becomes an exception, or is passed to the command.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    place = servers.Place(directory, home)
    try:
        _remember(directory, owner=processes.record(os.getpid()))
        state = servers.up(place, list(servers.SERVERS), {"postgres": 0, "nats": 0}, throwaway=True)
        return _foreground(command, _environment(home, state), directory)
    except _Interrupted as interrupted:
        return 128 + interrupted.number
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        servers.destroy(place)


def _environment(home: Path, state: dict) -> dict:
    return os.environ | {
        "NVISY_TEST_DATABASE_URL": state["postgres"]["url"],
        "NVISY_TEST_NATS_URL": state["nats"]["url"],
        "NVISY_TEST_NATS_SERVER": str(nats_directory(home) / "nats-server"),
        "NVISY_TEST_SERVICES": str(Path(__file__).resolve().with_name("services")),
        "NVISY_TEST_MAIL_DIRECTORY": str(mail_directory(home)),
        "NVISY_EMBEDDING_DIRECTORY": str(model_directory(home)),
    }


def _foreground(command: list, environment: dict, directory: Path) -> int:
    try:
        child = subprocess.Popen(command, env=environment, process_group=0)
    except OSError as error:
        raise Failure(f"cannot run {command[0]}: {error.strerror}") from None
    _remember(directory, owner=processes.record(os.getpid()), command=processes.record(child.pid))
    # A group of its own, so that a signal reaches what the command has started too (cargo's test programs).
    _give_terminal(child.pid)
    # Had it asked for the terminal before it was given, it would be stopped now.
    _signal_group(child.pid, signal.SIGCONT)
    passed = []
    while True:
        try:
            status = child.wait(timeout=10 if passed else None)
            break
        except _Interrupted as interrupted:
            passed.append(interrupted.number)
            _signal_group(child.pid, interrupted.number)
        except subprocess.TimeoutExpired:
            _signal_group(child.pid, signal.SIGKILL)
    _signal_group(child.pid, signal.SIGKILL)
    _give_terminal(os.getpgrp())
    return status if status >= 0 else 128 - status


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def _give_terminal(group: int) -> None:
    """Makes `group` the one that reads the terminal and gets its Ctrl-C, if we have that to give."""
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


def _sweep(home: Path) -> None:
    """Removes what runs that were killed outright have left, servers and commands included."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if directory.stat().st_uid != os.geteuid():
                continue
            known = json.loads((directory / "processes.json").read_text())
        except (OSError, ValueError):
            continue
        if not processes.is_running(known["owner"]):
            if processes.is_running(known.get("command")):
                _signal_group(known["command"]["pid"], signal.SIGKILL)
            servers.destroy(servers.Place(directory, home))


def _remember(directory: Path, **known: dict) -> None:
    (directory / "processes.json").write_text(json.dumps(known))
