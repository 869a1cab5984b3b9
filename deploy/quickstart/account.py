"""The system user of the servers, and directories that this user can enter.

PostgreSQL does not run as root. Started by root, both servers therefore run as the user `nobody`, which may not be
able to enter the directories above the checkout (a home directory with mode 0700). Their files are then kept in a
fallback directory below /var/tmp, whose name is derived from the path it replaces.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from wheels import Failure, created_atomically, locked


def account_for(data: Path) -> dict:
    """The `subprocess` arguments that drop root; empty for other users. Existing data keeps its owner."""
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
        user = pwd.getpwnam("nobody")
    except KeyError:
        raise Failure("started by root, but there is no user `nobody` to run the servers as") from None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def reachable(directory: Path, account: dict) -> Path:
    """`directory`, or its fallback below /var/tmp if the servers' user cannot enter it."""
    if not account:
        return directory
    fallback = _fallback(directory)
    if fallback.is_dir():
        return fallback
    if subprocess.run(["test", "-x", str(directory)], cwd="/", **account).returncode == 0:
        return directory
    fallback.mkdir(exist_ok=True)
    _fallback(directory).chmod(0o755)
    return fallback


def reachable_copy(installed: Path, account: dict) -> Path:
    """Like `reachable` for a directory of programs: the fallback contains a copy of it."""
    directory = reachable(installed, account)
    if directory == installed:
        return installed
    copy = directory / "copy"
    with locked(directory / ".lock"):
        if not copy.is_dir():
            with created_atomically(copy) as scratch:
                shutil.copytree(installed, scratch, dirs_exist_ok=True)
                scratch.chmod(0o755)
    return copy


def remove(directory: Path) -> None:
    """Removes the directory and its fallback."""
    shutil.rmtree(directory, ignore_errors=True)
    if os.geteuid() == 0:
        shutil.rmtree(_fallback(directory), ignore_errors=True)


def create_owned(directory: Path, account: dict) -> None:
    """Creates a private directory owned by the servers' user."""
    directory.mkdir(mode=0o700, exist_ok=True)
    if account:
        os.chown(directory, account["user"], account["group"])


def _fallback(directory: Path) -> Path:
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    path = Path("/var/tmp", f"nvisy-{name}")
    # /var/tmp is writable for all users: do not trust a directory that another user created under this name.
    if path.is_symlink() or (path.exists() and path.stat().st_uid != os.geteuid()):
        raise Failure(f"{path} belongs to another user; remove it")
    return path
