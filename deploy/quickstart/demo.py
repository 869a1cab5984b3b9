#!/usr/bin/env python3
"""Starts Nvisy, uploads the sample documents, waits for the index, asks three questions and runs a pipeline of its own.

Everything keeps running. A second run reuses the account, workspace and files of the first.
"""

import os
import shutil
import sys

WORKSPACE = "Demo"


def main() -> None:
    tour.heading("Starting PostgreSQL, NATS, the API and a worker")
    entries = applications.up(_workers(), "local")
    base = applications.api_url(entries)
    print(f"  ready at {base}")

    client = Client(base, applications.any_certificate())
    demo_account.log_in(client)
    workspace = next((w for w in client.workspaces() if w["name"] == WORKSPACE), None) or client.create_workspace(WORKSPACE)
    tour.run(client, workspace["id"])
    authored.run(client, workspace["id"])

    tour.heading("Everything keeps running")
    print(f"  API reference   {base}/api/scalar")
    print(f"  Account         {demo_account.EMAIL}, password in {demo_account.password_file().relative_to(applications.CHECKOUT)}")
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


if __name__ == "__main__":
    if sys.version_info < (3, 11) or sys.platform != "linux":
        sys.exit("demo: needs Linux and Python 3.11 or newer")
    import applications
    import authored
    import demo_account
    import tour
    from client import Client
    from wheels import Failure

    try:
        main()
    except (Failure, OSError) as failure:
        sys.exit(f"\ndemo: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
