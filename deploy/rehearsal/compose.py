"""Runs the production compose file under a temporary project name with separate ports, passwords, keys and volumes."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from wheels import Failure

CHECKOUT = Path(__file__).resolve().parents[2]
# The first start applies the migrations.
HEALTHY_TIMEOUT_SECONDS = 120


class Project:
    """A temporary installation. `files` are further compose files, such as one for a mirror of images or packages."""

    def __init__(self, files: list):
        self.name = f"nvisy-rehearsal-{secrets.token_hex(3)}"
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        ports = _free_ports(3)
        self.api = f"http://127.0.0.1:{ports[0]}"
        settings = {
            "POSTGRES_PASSWORD": secrets.token_hex(16),
            "POSTGRES_APP_PASSWORD": secrets.token_hex(16),
            "NATS_PASSWORD": secrets.token_hex(16),
            "KEYS_DIRECTORY": self.directory / "keys",
            "API_ADDRESS": "127.0.0.1",
            "API_PORT": ports[0],
            "POSTGRES_PORT": ports[1],
            "NATS_MONITOR_PORT": ports[2],
        }
        environment = self.directory / "rehearsal.env"
        environment.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        environment.chmod(0o600)
        files = [CHECKOUT / "docker-compose.yml", *files]
        self._command = ["docker", "compose", "--project-name", self.name, "--env-file", environment,
                         *(part for file in files for part in ("--file", file))]
        # The caller's variables would take precedence over the file.
        self._environment = {name: value for name, value in os.environ.items() if name not in settings}
        self._environment.pop("COMPOSE_PROFILES", None)

    def run(self, *arguments, quiet: bool = True, check: bool = True) -> str:
        """Runs `docker compose` with these arguments and returns its standard output."""
        done = subprocess.run([*map(str, self._command), *map(str, arguments)], cwd=CHECKOUT, env=self._environment,
                              stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None)
        if check and done.returncode != 0:
            raise Failure(f"docker compose {' '.join(map(str, arguments))} failed:\n{done.stdout}{done.stderr or ''}")
        return done.stdout

    def up(self, workers: int) -> float:
        """Starts missing containers and returns the seconds until all are healthy."""
        began = time.monotonic()
        self.run("up", "--detach", "--no-build", "--no-recreate", "--scale", f"worker={workers}",
                 "--wait", "--wait-timeout", HEALTHY_TIMEOUT_SECONDS)
        return time.monotonic() - began

    def containers(self, service: str | None = None) -> list:
        """The containers of all services or one, running or not: `Name`, `Service`, `State`, `Health`."""
        lines = self.run("ps", "--all", "--format", "json", *([service] if service else [])).splitlines()
        return [json.loads(line) for line in lines if line]

    def crash(self, service: str) -> None:
        """Kills all containers of a service and starts them again."""
        self.run("kill", "--signal", "KILL", service)
        self.run("start", service)

    def kill_one(self, service: str) -> str:
        """Kills one container of a service, which stays down, and returns its name."""
        name = next(container["Name"] for container in self.containers(service) if container["State"] == "running")
        _docker("kill", "--signal", "KILL", name)
        return name

    def sql(self, statement: str) -> list:
        """The rows of a statement, each a list of strings."""
        output = self.run("exec", "-T", "postgres", "psql", "-U", "nvisy", "-d", "nvisy", "-X", "-q", "-A", "-t", "-F", "\t",
                          "-v", "ON_ERROR_STOP=1", "-c", statement)
        return [line.split("\t") for line in output.splitlines()]

    def memory(self) -> dict:
        """The memory of each container in MiB, as its control group counts it."""
        names = [container["Name"] for container in self.containers() if container["State"] == "running"]
        lines = _docker("stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}", *names).splitlines()
        return {name: _mebibytes(usage.split(" / ")[0]) for name, usage in (line.split("\t") for line in lines)}

    def images(self) -> dict:
        """The unpacked size of each of our images in MB."""
        names = [f"nvisy-{program}:{os.environ.get('TAG', 'local')}" for program in ("api", "worker")]
        return {name: int(_docker("image", "inspect", "--format", "{{.Size}}", name)) / 1e6 for name in names}

    def destroy(self) -> None:
        """Removes everything but the images: containers, network, volumes, keys and passwords."""
        try:
            self.run("down", "--volumes", "--remove-orphans", "--timeout", "10")
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)


def config_error(settings: str) -> str:
    """The error of compose for an installation with only these settings."""
    with tempfile.NamedTemporaryFile("w", suffix=".env") as file:
        file.write(settings)
        file.flush()
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_PASSWORD")}
        done = subprocess.run(["docker", "compose", "--env-file", file.name, "config", "--quiet"], cwd=CHECKOUT,
                              env=environment, capture_output=True, text=True)
    if done.returncode == 0:
        raise Failure("compose accepts an installation without passwords")
    return done.stderr.strip()


def _docker(*arguments) -> str:
    done = subprocess.run(["docker", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failure(f"docker {' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return done.stdout


def _mebibytes(text: str) -> float:
    for unit, factor in (("GiB", 1024), ("MiB", 1), ("KiB", 1 / 1024), ("B", 1 / 1024**2)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise Failure(f"docker stats prints an unknown unit: {text}")


def _free_ports(count: int) -> list:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
