"""Milvus for tests of vector stores: the whole server, as a program without a container.

Below the home directory, `milvus/<version>/` holds `milvus`, its libraries, and the template of its settings. Later packages have it for macOS
only, and `milvus-lite` 3 is another server, without the REST interface.
"""

import platform
import shutil
import sys
import zipfile
from pathlib import Path

from wheels import Failure, Wheel, created_atomically, download, locked

MILVUS = Wheel("milvus", "2.3.5", {
    "x86_64": "69515a0630ce29fd10e101fa442afea8ca1387b93a456cd9bd41fdf3deb93d04",
})
PROGRAMS = "milvus/data/bin/"
SETTINGS = ["milvus/data/config.yaml.template", "milvus/data/glog.conf"]


def directory(home: Path) -> Path:
    """Where the server is (or will be) unpacked."""
    return home / "milvus" / MILVUS.version


def install(home: Path) -> None:
    """Unpacks the server if it is missing and there is a package for this machine."""
    target = directory(home)
    if target.is_dir():
        return
    if platform.machine() not in MILVUS.sha256:
        print(f"no package has Milvus for {platform.machine()}: its test is left out", file=sys.stderr, flush=True)
        return
    with locked(home / ".install.lock"):
        if not target.is_dir():
            archive = download(home / "wheels", MILVUS, MILVUS.expected())
            with created_atomically(target) as scratch, zipfile.ZipFile(archive) as members:
                _unpack(members, scratch)
            archive.unlink()


def _unpack(members: zipfile.ZipFile, target: Path) -> None:
    try:
        # Some Pythons are built without it.
        import lzma
    except ImportError:
        raise Failure("Milvus is compressed with LZMA, which this Python lacks: use that of your distribution") from None
    for name in members.namelist():
        if name in SETTINGS:
            (target / Path(name).name).write_bytes(members.read(name))
        elif name.startswith(PROGRAMS) and name.endswith(".lzma"):
            program = target / Path(name).stem
            with members.open(name) as packed, lzma.open(packed) as source, open(program, "wb") as copy:
                shutil.copyfileobj(source, copy)
            program.chmod(0o755)
