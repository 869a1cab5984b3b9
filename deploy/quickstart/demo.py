#!/usr/bin/env python3
"""Starts Nvisy, uploads the sample documents, waits for the index, asks three questions and runs a pipeline of its own.

Everything keeps running. A second run reuses the account, workspace and files of the first.
"""

import json
import os
import secrets
import shutil
import sys
from pathlib import Path

EMAIL = "demo@example.com"
WORKSPACE = "Demo"


def main() -> None:
    tour.heading("Starting PostgreSQL, NATS, the API and a worker")
    entries = applications.up(_workers(), "local")
    base = applications.api_url(entries)
    print(f"  ready at {base}")

    client = Client(base, applications.any_certificate())
    _log_in(client)
    workspace = next((w for w in client.workspaces() if w["name"] == WORKSPACE), None) or client.create_workspace(WORKSPACE)
    tour.run(client, workspace["id"])
    authored.run(client, workspace["id"])

    tour.heading("Everything keeps running")
    print(f"  API reference   {base}/api/scalar")
    print(f"  Account         {EMAIL}, password in {_password_file().relative_to(applications.CHECKOUT)}")
    print("  Your own files  README.md, section \"Your own files\"")
    print(f"  Stop            {_just()} down")


def _just() -> str:
    """The command `just` as this user can type it: its name if it is on the PATH, else the path given by the recipe."""
    program = sys.argv[1] if len(sys.argv) > 1 else "just"
    found = shutil.which("just")
    return "just" if found and os.path.realpath(found) == os.path.realpath(program) else program


def _workers() -> int:
    """The number of running workers, at least 1: the demo stops none."""
    running = [name for name in applications.read() if name.startswith("worker-")]
    return max(1, len(running))


def _log_in(client) -> None:
    file = _password_file()
    if not file.exists():
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as output:
            json.dump({"email": EMAIL, "password": secrets.token_urlsafe(18)}, output)
    password = json.loads(file.read_text())["password"]
    try:
        client.login(EMAIL, password)
        return
    except HttpError as error:
        if error.status != 401:
            raise
    client.sign_up(EMAIL, password, "Demo", applications.allow_sign_up(EMAIL, "local"))
    client.login(EMAIL, password)


def _password_file() -> Path:
    return applications.HOME / "demo.json"


if __name__ == "__main__":
    if sys.version_info < (3, 11) or sys.platform != "linux":
        sys.exit("demo: needs Linux and Python 3.11 or newer")
    import applications
    import authored
    import tour
    from client import Client, HttpError
    from wheels import Failure

    try:
        main()
    except (Failure, OSError) as failure:
        sys.exit(f"\ndemo: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
