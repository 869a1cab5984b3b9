#!/usr/bin/env python3
"""Rebuilds and restarts Nvisy when a source file changes, and shows the logs. Ctrl-C stops everything."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STACK = Path(__file__).resolve().with_name("stack")
CHECKOUT = STACK.parents[2]
WATCHED = ("api", "worker", "shared", "migration")


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    logs = None
    try:
        while True:
            before = _state()
            built = subprocess.run(["cargo", "build", "--workspace", "--bins"], cwd=CHECKOUT).returncode == 0
            # `up` restarts only the rebuilt programs. An error stays visible until the next change.
            if built and subprocess.run([STACK, "up", "--profile", "debug"]).returncode == 0 and logs is None:
                logs = subprocess.Popen([STACK, "logs"])
            while _state() == before:
                time.sleep(0.5)
    finally:
        if logs:
            logs.terminate()
            logs.wait()
        subprocess.run([STACK, "down"])


def _state() -> dict:
    """The modification times of all source files."""
    files = [CHECKOUT / "Cargo.toml", CHECKOUT / "Cargo.lock", CHECKOUT / ".env"]
    for package in WATCHED:
        for directory, _, names in os.walk(CHECKOUT / package):
            files += [Path(directory, name) for name in names if name.endswith((".rs", ".toml", ".sql"))]
    return {file: file.stat().st_mtime_ns for file in files if file.exists()}


if __name__ == "__main__":
    main()
