"""Dovecot for tests of mailboxes: the server that is installed. Its programs look for each other in `/usr/lib`, so it cannot be unpacked
elsewhere; root gets the package of the distribution."""

import os
import shutil
import subprocess
from pathlib import Path

from wheels import Failure, locked

PACKAGE = "dovecot-imapd"
PROGRAM = Path("/usr/sbin/dovecot")
# The program of a session, which is in a package of its own.
IMAP = Path("/usr/lib/dovecot/imap")


def install(home: Path) -> None:
    """Installs the server, unless there is one."""
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / ".dovecot.lock"):
        if PROGRAM.exists() and IMAP.exists():
            return
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise Failure(f"tests need Dovecot: install the package {PACKAGE} of your distribution")
        install_package = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", PACKAGE]
        if not _run(install_package) and not (_run(["apt-get", "update", "-qq"]) and _run(install_package)):
            raise Failure(f"apt-get cannot install {PACKAGE}")


def _run(command: list) -> bool:
    # Tests start a server of their own: that of the package is not started.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode == 0
