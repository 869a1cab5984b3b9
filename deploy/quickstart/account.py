"""Which system user the servers run as, and where that user can reach.

PostgreSQL refuses to run as root. Started by root, both servers therefore run as `nobody`, which may be
unable to enter the directories above the checkout (a home directory with mode 0700). What the servers need
is then kept in a directory below /var/tmp, whose name follows from the path it stands in for.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from wheels import Failure, appearing, locked


def account_for(data: Path) -> dict:
    """The `subprocess` arguments that drop root: empty for anybody else. Existing data keeps its owner."""
    if os.geteuid() != 0:
        return {}
    try:
        owner = data.stat().st_uid
    except OSError:
        owner = 0
    if owner != 0:
        try:
            group = pwd.getpwuid(owner).pw_gid
        except KeyError:
            group = owner
        return {"user": owner, "group": group, "extra_groups": []}
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise Failure("started by root, but there is no user `nobody` to run the servers as") from None
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def reachable(directory: Path, account: dict) -> Path:
    """`directory`, or its stand-in below /var/tmp when the servers' user cannot enter it."""
    if not account:
        return directory
    stand_in = _stand_in(directory)
    if stand_in.is_dir():
        return stand_in
    if subprocess.run(["test", "-x", str(directory)], cwd="/", **account).returncode == 0:
        return directory
    stand_in.mkdir(exist_ok=True)
    _stand_in(directory).chmod(0o755)
    return stand_in


def reachable_copy(installed: Path, account: dict) -> Path:
    """Like `reachable` for a directory of programs: the stand-in holds a copy of it."""
    place = reachable(installed, account)
    if place == installed:
        return installed
    copy = place / "copy"
    with locked(place / ".lock"):
        if not copy.is_dir():
            with appearing(copy) as scratch:
                shutil.copytree(installed, scratch, dirs_exist_ok=True)
                scratch.chmod(0o755)
    return copy


def forget(directory: Path) -> None:
    """Removes the directory and its stand-in."""
    shutil.rmtree(directory, ignore_errors=True)
    if os.geteuid() == 0:
        shutil.rmtree(_stand_in(directory), ignore_errors=True)


def own(directory: Path, account: dict) -> None:
    """Creates a private directory that belongs to the servers' user."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(directory, account["user"], account["group"])


def _stand_in(directory: Path) -> Path:
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    path = Path("/var/tmp", f"nvisy-{name}")
    # Anybody may write to /var/tmp: what another user has put there under this name is not ours to trust.
    if path.is_symlink() or (path.exists() and path.stat().st_uid != os.geteuid()):
        raise Failure(f"{path} belongs to somebody else; remove it")
    return path
