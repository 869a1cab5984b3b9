"""MariaDB for tests of connections: the server that is installed, or Debian's package, unpacked without root."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from wheels import Failure, created_atomically, locked

PACKAGE = "mariadb-server-core"
# Where packages of Debian and Ubuntu put the server.
INSTALLED = Path("/usr/sbin/mariadbd")


def directory(home: Path) -> Path:
    """The directory that has `sbin/mariadbd` and `share/mysql`, once it is installed."""
    if INSTALLED.exists() and Path("/usr/share/mysql/mysql_system_tables.sql").exists():
        return Path("/usr")
    return home / "mariadb" / "usr"


def install(home: Path) -> None:
    """Unpacks the server, unless there is one."""
    target = directory(home)
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / ".mariadb.lock"):
        if not (target / "sbin" / "mariadbd").exists():
            _unpack(home / "mariadb")


def _unpack(target: Path) -> None:
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise Failure(f"tests need MariaDB: install the package {PACKAGE} of your distribution")
    with tempfile.TemporaryDirectory() as scratch:
        _run(["apt-get", "download", PACKAGE], cwd=scratch)
        packages = list(Path(scratch).glob("*.deb"))
        if not packages:
            raise Failure(f"apt-get downloaded no {PACKAGE}")
        shutil.rmtree(target, ignore_errors=True)
        with created_atomically(target) as unpacked:
            _run(["dpkg-deb", "-x", str(packages[0]), str(unpacked)], cwd=scratch)


def _run(command: list, cwd: str) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command[:2])} failed:\n{done.stdout}{done.stderr}")
