#!/usr/bin/env python3
"""Compares the reader of this project with other ones on the files of a folder, for `just bench-extract-peers`.

Each reader runs in a process of its own, over all files of the formats that it reads. CPU time of a library is that of reading, without the
start of its interpreter; the reader of this project is compared with libraries as one, in one process for all files, and with programs as a
program, in a process for each file. Files that are read quickly are read three times, of which the fastest counts. Words are compared as
`just bench-extract` compares them, with those of a reference for each format; references are readers, too. `--pages` compares recognition
on pictures of pages whose words are known.
"""

import argparse
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import peer_readers
import peer_references

REPOSITORY = Path(__file__).parents[3]
HOME = REPOSITORY / ".local/extract-peers"
MODELS = REPOSITORY / ".local/models/PP-OCRv6-small"
MIN_WORDS = 20
# A page for recognition has more words than this.
MIN_PAGE_WORDS = 120
SECONDS_PER_FILE = 60
# For each format the tool whose words are taken as right.
REFERENCES = {
    "csv": "python",
    "doc": "libreoffice",
    "docx": "pandoc",
    "eml": "python",
    "epub": "pandoc",
    "html": "pandoc",
    "ipynb": "pandoc",
    "json": "python",
    "mbox": "python",
    "md": "pandoc",
    "msg": "extract-msg",
    "odp": "libreoffice",
    "ods": "libreoffice",
    "odt": "pandoc",
    "pdf": "pdftotext",
    "ppt": "libreoffice",
    "pptx": "libreoffice",
    "rtf": "pandoc",
    "txt": "python",
    "xls": "libreoffice",
    "xlsb": "libreoffice",
    "xlsx": "libreoffice",
    "xml": "python",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ours", type=Path, help="the program of the benchmark `extract`; it is built without this option")
    parser.add_argument("--formats", help="only these, with commas between")
    parser.add_argument("--readers", help="only these, with commas between, and the references")
    parser.add_argument("--most", type=int, default=100, help="files of each format")
    parser.add_argument("--pages", type=int, default=0, help="recognise pictures of the first pages of so many PDF files")
    parser.add_argument("--worst", type=int, default=0, help="also name so many files of each format that have the fewest words here")
    arguments = parser.parse_args()
    _enter_environment()
    ours = (arguments.ours or _build()).resolve()
    readers = arguments.readers.split(",") if arguments.readers else list(peer_readers.READERS)
    start = lambda name: Server(name, ours)  # noqa: E731
    if arguments.pages:
        return _pages(arguments.folder, arguments.pages, readers, start)
    formats: dict[str, list[Path]] = {}
    for path in sorted(path for path in arguments.folder.rglob("*") if path.is_file()):
        formats.setdefault(path.suffix.lower().removeprefix("."), []).append(path)
    wanted = arguments.formats.split(",") if arguments.formats else list(REFERENCES)
    print("| format | files | reader | read | recall | order | CPU s | here in proportion | peak MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in (name for name in wanted if name in formats):
        paths = formats[name][: arguments.most]
        reference = REFERENCES[name]
        if reference == "libreoffice":
            _convert(paths)
        results = {}
        for reader in dict.fromkeys([reference, "ours", *readers]):
            if reader in peer_readers.READERS and name in peer_readers.READERS[reader].formats:
                results[reader] = _read_all(start(reader), paths)
        _print_rows(name, paths, reference, results)
        if arguments.worst:
            _print_worst(name, reference, results, arguments.worst)
    return 0


def _enter_environment() -> None:
    """Goes on with the interpreter that has the libraries of `peers.txt`."""
    listed = Path(__file__).with_name("peers.txt")
    installed = HOME / "installed.txt"
    environment = HOME / "venv"
    if Path(sys.prefix) == environment:
        return
    python = environment / "bin/python"
    if not installed.exists() or installed.read_text() != listed.read_text():
        HOME.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", listed], check=True)
        installed.write_text(listed.read_text())
    os.execv(python, [str(python), *sys.argv])


def _build() -> Path:
    """Builds the benchmark `extract`, whose program reads one file here."""
    command = ["cargo", "bench", "--locked", "-p", "nvisy-extract", "--bench", "extract", "--no-run", "--message-format=json"]
    output = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = [json.loads(line) for line in output.splitlines()]
    return Path(next(found["executable"] for found in artifacts if found.get("target", {}).get("name") == "extract"))


class Server:
    """A process that reads files one after another; it is started again after a crash or too long a file."""

    def __init__(self, reader: str, ours: Path):
        self.command = [sys.executable, str(Path(peer_readers.__file__)), reader]
        self.environment = os.environ | {"OMP_THREAD_LIMIT": "1", "RAYON_NUM_THREADS": "1", "RTEN_NUM_THREADS": "1", "PEERS_OURS": str(ours)}
        self.environment |= {"PEERS_CONVERTED": str(HOME / "converted"), "PEERS_MODELS": str(MODELS)}
        self.process = None

    def read(self, path: Path) -> dict:
        if self.process is None:
            streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self.process = subprocess.Popen(self.command, env=self.environment, start_new_session=True, **streams)
            # The first answer says that the library is loaded.
            self._answer(SECONDS_PER_FILE)
        if self.process is not None:
            self.process.stdin.write(f"{path.resolve()}\n".encode())
            self.process.stdin.flush()
            answer = self._answer(SECONDS_PER_FILE)
            if answer is not None:
                return answer
        return {"error": "crashed, or took too long"}

    def _answer(self, seconds: float) -> dict | None:
        line, until = b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 1 << 20) if ready else b""
            if not piece:
                self.end()
                return None
            line += piece
        return json.loads(line)

    def end(self) -> None:
        if self.process is not None:
            # Also a program that it has started.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def _read_all(server: Server, paths: list[Path]) -> dict[Path, dict]:
    results = {}
    for path in paths:
        result = server.read(path)
        if "text" in result:
            result["words"] = _words(result.pop("text"))
        results[path] = result
    server.end()
    return results


def _words(text: str) -> list[str]:
    """Words in small letters, without signs, as in `extract.rs`."""
    for old, new in (("\u00ad", ""), ("\u200b", ""), ("ﬀ", "ff"), ("ﬃ", "ffi"), ("ﬄ", "ffl"), ("ﬁ", "fi"), ("ﬂ", "fl"), ("-\n", "")):
        text = text.replace(old, new)
    return "".join(char.lower() if char.isalnum() else " " for char in text).split()


def _shared(one: list, other: list) -> int:
    return (Counter(one) & Counter(other)).total()


def _recall(theirs: list[str], words: list[str]) -> float:
    return _shared(theirs, words) / len(theirs)


def _order(theirs: list[str], words: list[str]) -> float:
    both = _shared(list(pairwise(theirs)), list(pairwise(words)))
    return 2 * both / max(1, len(theirs) + len(words) - 2)


def _mean(values: list[float]) -> str:
    return f"{sum(values) / len(values):.3f}" if values else ""


def _cpu(results: dict[Path, dict], paths: list[Path], key: str = "cpu") -> float:
    return sum(results[path].get(key, results[path].get("cpu", 0.0)) for path in paths)


def _print_rows(name: str, paths: list[Path], reference: str, results: dict[str, dict[Path, dict]]) -> None:
    theirs = {path: result.get("words", []) for path, result in results[reference].items()}
    compared = [path for path in paths if len(theirs[path]) >= MIN_WORDS]
    for reader, found in results.items():
        read = [path for path in compared if "words" in found[path]]
        recall = _mean([_recall(theirs[path], found[path]["words"]) for path in read])
        order = _mean([_order(theirs[path], found[path]["words"]) for path in read])
        both = [path for path in paths if "words" in found[path] and "words" in results["ours"][path]]
        # LibreOffice converts many files at once, and its time is not known.
        timed = reader != "libreoffice"
        seconds = f"{_cpu(found, paths):.2f}" if timed else ""
        ours = _cpu(results["ours"], both, "cpu" if peer_readers.READERS[reader].load is None else "served_cpu")
        proportion = ours / max(1e-9, _cpu(found, both)) if timed and both and reader != "ours" else None
        peak = max((result.get("peak_kb", 0) for result in found.values()), default=0) // 1024 if timed else ""
        times = "" if proportion is None else f"{proportion:.2f}"
        if reader == "ours":
            times = f"{_cpu(found, paths, 'served_cpu'):.2f} s in one process"
        mark = " (reference)" if reader == reference else ""
        quality = f"{len(read)} of {len(compared)} | {recall} | {order}"
        print(f"| {name} | {len(paths)} | {reader}{mark} | {quality} | {seconds} | {times} | {peak} |", flush=True)


def _print_worst(name: str, reference: str, results: dict[str, dict[Path, dict]], most: int) -> None:
    notes = []
    for path, result in results["ours"].items():
        theirs = results[reference][path].get("words", [])
        if len(theirs) >= MIN_WORDS:
            words = result.get("words")
            notes.append((0.0, 0.0, path.name, result["error"]) if words is None else (_recall(theirs, words), _order(theirs, words), path.name, ""))
    for recall, order, file, error in sorted(notes)[:most]:
        print(f"  {name} {file}: recall {recall:.3f}, order {order:.3f} {error}")


def _convert(paths: list[Path]) -> None:
    """Converts files with LibreOffice, several at once, if their texts are not there."""
    folder = HOME / "converted"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [path for path in paths if not (folder / f"{peer_references.digest(path)}.txt").exists()]
    batches = [missing[start : start + 10] for start in range(0, len(missing), 10)]
    while batches:
        batch = batches.pop()
        seconds = SECONDS_PER_FILE if len(batch) == 1 else 3 * SECONDS_PER_FILE
        done = peer_references.convert_with_libreoffice(batch, folder, seconds)
        if not done and len(batch) > 1:
            batches += [[path] for path in batch]


def _pages(folder: Path, most: int, readers: list[str], start) -> int:
    """Recognition of pictures of first pages at 150 dpi, against the words of `pdftotext`."""
    from rapidfuzz.distance import Levenshtein

    pictures = HOME / "pages"
    pictures.mkdir(parents=True, exist_ok=True)
    truth: dict[Path, str] = {}
    for path in sorted(folder.rglob("*.pdf"), key=lambda path: hashlib.sha256(path.name.encode()).digest()):
        text = subprocess.run(["pdftotext", "-l", "1", path, "-"], capture_output=True, check=False).stdout.decode(errors="replace")
        if len(truth) < most and len(_words(text)) > MIN_PAGE_WORDS:
            picture = pictures / f"{path.stem}.png"
            subprocess.run(["pdftoppm", "-l", "1", "-r", "150", "-png", "-singlefile", path, picture.with_suffix("")], check=True)
            truth[picture] = text
    print("| reader | pages | recall | order | characters right | CPU s for a page | pages for a second | peak MB |")
    print("|---|---|---|---|---|---|---|---|")
    for reader in dict.fromkeys(["ours", *readers]):
        if reader not in peer_readers.READERS or "png" not in peer_readers.READERS[reader].formats:
            continue
        server = start(reader)
        answers = {picture: server.read(picture) for picture in truth}
        server.end()
        read = {picture: answer for picture, answer in answers.items() if "text" in answer}
        words = {picture: (_words(truth[picture]), _words(answer["text"])) for picture, answer in read.items()}
        recall, order = ([measure(*pair) for pair in words.values()] for measure in (_recall, _order))
        right = [Levenshtein.normalized_similarity(*(" ".join(words) for words in pair)) for pair in words.values()]
        seconds = sum(answer["cpu"] for answer in read.values()) / max(1, len(read))
        peak = max((answer["peak_kb"] for answer in read.values()), default=0) // 1024
        shares = f"{_mean(recall)} | {_mean(order)} | {_mean(right)}"
        print(f"| {reader} | {len(read)} of {len(truth)} | {shares} | {seconds:.2f} | {1 / seconds if seconds else 0:.2f} | {peak} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
