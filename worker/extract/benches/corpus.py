#!/usr/bin/env python3
"""A folder of sample documents of all formats, for `just bench-extract`.

They come from the tests of source packages of Debian (`corpus.txt`), which `apt-get` downloads and verifies; nothing of them is built or run.
At most a number of files of each format, chosen by their hashes, so that each run gives the same. A line of the list may name the
formats to take from its package: `rspamd eml`.
"""

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path

FORMATS = "csv doc docx eml epub html ipynb mbox md msg odp ods odt pdf ppt pptx rtf xls xlsb xlsx".split()
# Formats of which nearly every package has some files; only those of packages that name them are taken.
LISTED_FORMATS = "jpg json png tif txt xml".split()
FILES_PER_FORMAT = 100
MAX_FILE_BYTES = 5_000_000
SOURCES = Path("/etc/apt/sources.list.d")
# A file with the name of another format.
OLE_CONTAINER = b"\xd0\xcf\x11\xe0"
MAIL_HEADER = re.compile(rb"(?i)(return-path|received|from|date|subject|message-id|mime-version|delivered-to|to): ")


def main() -> int:
    folder = Path(sys.argv[1]).resolve()
    cache = folder / "packages"
    packages = {line.split()[0]: line.split()[1:] or FORMATS for line in _list() if line and not line.startswith("#")}
    _download(cache, list(packages))
    found = {name: {} for name in sorted(FORMATS + LISTED_FORMATS)}
    for archive in sorted(cache.glob("*.tar.*")):
        if archive.suffix != ".asc":
            package = archive.name.split("_")[0]
            _add(archive, package, packages.get(package, FORMATS), found)
    files = folder / "files"
    files.mkdir(exist_ok=True)
    for old in files.iterdir():
        old.unlink()
    for name, contents in found.items():
        for digest in sorted(contents)[:FILES_PER_FORMAT]:
            label, content = contents[digest]
            (files / f"{label}-{digest[:8]}.{name}").write_bytes(content)
        print(f"{name}: {min(len(contents), FILES_PER_FORMAT)} of {len(contents)}")
    print(files)
    return 0


def _list() -> list[str]:
    return Path(__file__).with_name("corpus.txt").read_text().splitlines()


def _download(cache: Path, packages: list[str]) -> None:
    """Downloads the sources of packages that are not there, with lists of packages of its own."""
    lists = cache / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    parts = cache / "sources"
    parts.mkdir(exist_ok=True)
    for source in SOURCES.glob("*.sources"):
        (parts / source.name).write_text(source.read_text().replace("Types: deb\n", "Types: deb-src\n"))
    options = ["-qq", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={parts}"]
    options += ["-o", f"Dir::State::lists={lists}", "-o", "APT::Sandbox::User=root"]
    subprocess.run(["apt-get", *options, "update"], check=True)
    for package in packages:
        mark = cache / f"{package}.complete"
        if not mark.exists():
            done = subprocess.run(["apt-get", *options, "source", "--download-only", package], cwd=cache, check=False)
            if done.returncode == 0:
                mark.touch()
            else:
                print(f"{package}: not downloaded", file=sys.stderr)


def _add(archive: Path, package: str, formats: list[str], found: dict) -> None:
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isfile() or not 0 < member.size <= MAX_FILE_BYTES:
                continue
            path = Path(member.name)
            name = path.suffix.lower().removeprefix(".")
            # Mails of a maildir have no extension.
            if not name.isalpha() and "eml" in formats:
                name = "eml"
            if name not in formats:
                continue
            content = tar.extractfile(member).read()
            if name == "msg" and not content.startswith(OLE_CONTAINER):
                continue
            if name == "eml" and path.suffix != ".eml" and not MAIL_HEADER.match(content):
                continue
            # The encoding of a text is in its name, its language in its folder's.
            label = f"{package}-{path.parent.name}-{path.stem}" if name == "txt" else package
            found[name].setdefault(hashlib.sha256(content).hexdigest(), (label, content))


if __name__ == "__main__":
    sys.exit(main())
