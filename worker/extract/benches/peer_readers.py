#!/usr/bin/env python3
"""The readers that `peers.py` compares. As a program it reads the paths of files, one a line, with the reader of its argument, and answers
each with a line of JSON: the text or an error, CPU seconds, and peak memory.
"""

import asyncio
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import peer_references
from peer_references import SHEETS

PICTURES = "jpg png tif"
# Files that are read faster than this are read several times, of which the fastest counts.
QUICK_SECONDS = 0.02
TIMES = 3


@dataclass(frozen=True)
class Reader:
    formats: tuple[str, ...]
    # Loads the library, and returns the function that reads a file. A program has arguments instead, of which `FILE` is the file.
    load: Callable[[], Callable[[str], str]] | None = None
    arguments: tuple[str, ...] = ()


class FailedError(Exception):
    pass


def _program(formats: str, *arguments: str) -> Reader:
    return Reader(tuple(formats.split()), arguments=arguments)


def _ours() -> Callable[[str], str]:
    def read(path: str) -> str:
        # Without the models, times are those of reading alone.
        recognises = path.rsplit(".", 1)[-1] in PICTURES.split()
        environment = os.environ | ({"NVISY_OCR_DIRECTORY": os.environ["PEERS_MODELS"]} if recognises else {})
        return _run([os.environ["PEERS_OURS"], "read", path], environment)

    return read


class Served:
    """The reader of this project as a library is: one process that reads file after file."""

    def __init__(self):
        self.process = None

    def read(self, path: str) -> dict:
        """CPU seconds and peak memory; nothing, if the process ended."""
        return _fastest(lambda: self._read(path), "served_cpu")

    def _read(self, path: str) -> dict:
        if self.process is None:
            command = [os.environ["PEERS_OURS"], "serve"]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        folder = Path("/proc", str(self.process.pid))
        # The clock of all threads of a process, as of `clock_getcpuclockid`.
        clock = (~self.process.pid << 3) | 2
        (folder / "clear_refs").write_text("5")
        before = time.clock_gettime(clock)
        self.process.stdin.write(f"{path}\n".encode())
        self.process.stdin.flush()
        head = self.process.stdout.readline()
        if not head:
            self.process.wait()
            self.process = None
            return {}
        self.process.stdout.read(int(head.split()[1]))
        return {"served_cpu": time.clock_gettime(clock) - before, "peak_kb": _peak_kb(folder)}


def _xberg(recognises: bool = False) -> Callable[[str], str]:
    import xberg

    limits = xberg.ConcurrencyConfig(max_threads=1)
    config = xberg.ExtractionConfig(use_cache=False, disable_ocr=not recognises, concurrency=limits)

    def read(path: str) -> str:
        return asyncio.run(xberg.extract(xberg.ExtractInput(uri=path), config)).results[0].content

    return read


def _kreuzberg() -> Callable[[str], str]:
    import kreuzberg

    config = kreuzberg.ExtractionConfig(use_cache=False, disable_ocr=True)
    return lambda path: kreuzberg.extract_file_sync(path, config=config).content


def _docling() -> Callable[[str], str]:
    import docling_rs

    converter = docling_rs.DocumentConverter(do_ocr=False, do_table_structure=False, text_layer_only=True)
    return lambda path: converter.convert(path).document.export_to_markdown()


def _markitdown() -> Callable[[str], str]:
    import markitdown

    converter = markitdown.MarkItDown()
    return lambda path: converter.convert(path).text_content


def _pymupdf() -> Callable[[str], str]:
    import pymupdf

    def read(path: str) -> str:
        with pymupdf.open(path) as document:
            return "\n".join(page.get_text() for page in document)

    return read


def _pypdfium2() -> Callable[[str], str]:
    import pypdfium2

    def read(path: str) -> str:
        document = pypdfium2.PdfDocument(path)
        return "\n".join(page.get_textpage().get_text_range() for page in document)

    return read


def _pdf_oxide() -> Callable[[str], str]:
    import pdf_oxide

    def read(path: str) -> str:
        document = pdf_oxide.PdfDocument(path)
        return "\n".join(document.extract_text(page) for page in range(document.page_count()))

    return read


def _pypdf() -> Callable[[str], str]:
    import pypdf

    return lambda path: "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


def _unpdf() -> Callable[[str], str]:
    import unpdf

    return unpdf.to_text


def _undoc() -> Callable[[str], str]:
    import undoc

    return lambda path: undoc.parse_file(path).to_text()


def _docx2txt() -> Callable[[str], str]:
    import docx2txt

    return docx2txt.process


def _python_pptx() -> Callable[[str], str]:
    import pptx

    def texts(shapes) -> list[str]:
        found = []
        for shape in shapes:
            if hasattr(shape, "shapes"):
                found += texts(shape.shapes)
            elif shape.has_text_frame:
                found.append(shape.text_frame.text)
            elif getattr(shape, "has_table", False):
                found += [cell.text for row in shape.table.rows for cell in row.cells]
        return found

    return lambda path: "\n".join(text for slide in pptx.Presentation(path).slides for text in texts(slide.shapes))


def _calamine() -> Callable[[str], str]:
    import python_calamine

    def read(path: str) -> str:
        book = python_calamine.CalamineWorkbook.from_path(path)
        rows = (row for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python())
        return "\n".join(" | ".join(str(cell) for cell in row) for row in rows)

    return read


def _selectolax() -> Callable[[str], str]:
    from selectolax.lexbor import LexborHTMLParser

    def read(path: str) -> str:
        page = LexborHTMLParser(Path(path).read_bytes())
        for node in page.css("script, style, template, noscript"):
            node.decompose()
        return page.root.text(separator="\n")

    return read


def _resiliparse() -> Callable[[str], str]:
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    def read(path: str) -> str:
        content = Path(path).read_bytes()
        return extract_plain_text(bytes_to_str(content, detect_encoding(content)))

    return read


def _html_to_markdown() -> Callable[[str], str]:
    import html_to_markdown

    return lambda path: html_to_markdown.convert(Path(path).read_text(errors="replace")).content or ""


def _striprtf() -> Callable[[str], str]:
    from striprtf.striprtf import rtf_to_text

    return lambda path: rtf_to_text(Path(path).read_text(encoding="latin-1"), errors="replace")


def _mail_parser() -> Callable[[str], str]:
    import mailparser

    def read(path: str) -> str:
        mail = mailparser.parse_from_file(path)
        return "\n".join(mail.text_plain or [peer_references.without_tags(page) for page in mail.text_html])

    return read


def _fast_mail_parser() -> Callable[[str], str]:
    import fast_mail_parser

    def read(path: str) -> str:
        mail = fast_mail_parser.parse_email(Path(path).read_bytes())
        return "\n".join(mail.text_plain or [peer_references.without_tags(page) for page in mail.text_html])

    return read


def _extract_msg() -> Callable[[str], str]:
    import extract_msg

    def read(path: str) -> str:
        with extract_msg.openMsg(path) as message:
            return message.body or ""

    return read


def _oxmsg() -> Callable[[str], str]:
    import oxmsg

    return lambda path: oxmsg.Message.load(path).body or ""


def _rapidocr() -> Callable[[str], str]:
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
    return lambda path: "\n".join(line[1] for line in engine(path)[0] or [])


READERS = {
    "ours": Reader(
        tuple(f"csv doc docx eml epub html ipynb json mbox md msg odp odt pdf ppt pptx rtf txt xml {SHEETS} {PICTURES}".split()), _ours
    ),
    "libreoffice": Reader(tuple(f"doc odp ppt pptx {SHEETS}".split()), peer_references.converted),
    "python": Reader(("csv", "eml", "json", "mbox", "txt", "xml"), peer_references.python),
    "xberg": Reader(
        tuple(f"csv doc docx eml epub html ipynb json mbox md msg odp odt pdf ppt pptx rtf txt xml {SHEETS}".split()), _xberg
    ),
    "xberg-ocr": Reader(tuple(PICTURES.split()), lambda: _xberg(recognises=True)),
    "kreuzberg": Reader(tuple(f"doc docx epub html odt pdf ppt pptx rtf {SHEETS}".split()), _kreuzberg),
    "docling-rs": Reader(tuple("doc docx eml epub html ipynb md odp ods odt pdf ppt pptx rtf xls xlsx".split()), _docling),
    "markitdown": Reader(tuple("docx epub html ipynb msg pptx xls xlsx".split()), _markitdown),
    "pdftotext": _program("pdf", "pdftotext", "FILE", "-"),
    "pymupdf": Reader(("epub", "pdf"), _pymupdf),
    "pypdfium2": Reader(("pdf",), _pypdfium2),
    "pdf-oxide": Reader(("pdf",), _pdf_oxide),
    "unpdf": Reader(("pdf",), _unpdf),
    "pypdf": Reader(("pdf",), _pypdf),
    "pandoc": _program("docx epub html ipynb md odt rtf", "pandoc", "-t", "plain", "--wrap=none", "FILE"),
    "undoc": Reader(("docx", "pptx", "xlsx"), _undoc),
    "docx2txt": Reader(("docx",), _docx2txt),
    "odt2txt": _program("odt", "odt2txt", "--width=-1", "--encoding=UTF-8", "FILE"),
    "unrtf": _program("rtf", "unrtf", "--text", "--nopict", "FILE"),
    "striprtf": Reader(("rtf",), _striprtf),
    "antiword": _program("doc", "antiword", "-m", "UTF-8.txt", "-w", "0", "FILE"),
    "catdoc": _program("doc", "catdoc", "-d", "utf-8", "-w", "FILE"),
    "catppt": _program("ppt", "catppt", "-d", "utf-8", "FILE"),
    "python-pptx": Reader(("pptx",), _python_pptx),
    "calamine": Reader(tuple(SHEETS.split()), _calamine),
    "selectolax": Reader(("html",), _selectolax),
    "resiliparse": Reader(("html",), _resiliparse),
    "html-to-markdown": Reader(("html",), _html_to_markdown),
    "mail-parser": Reader(("eml",), _mail_parser),
    "fast-mail-parser": Reader(("eml",), _fast_mail_parser),
    "extract-msg": Reader(("msg",), _extract_msg),
    "python-oxmsg": Reader(("msg",), _oxmsg),
    "tesseract": _program(PICTURES, "tesseract", "FILE", "-"),
    "rapidocr": Reader(tuple(PICTURES.split()), _rapidocr),
}


def _run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False)
    if done.returncode != 0:
        reason = re.search(r"(?m)^failed .*", done.stderr.decode(errors="replace"))
        raise FailedError(reason.group() if reason else f"exit code {done.returncode}")
    return done.stdout.decode(errors="replace")


def _peak_kb(process: Path) -> int:
    return int(re.search(r"VmHWM:\s*(\d+)", (process / "status").read_text()).group(1))


def _fastest(measure: Callable[[], dict], key: str) -> dict:
    """The first result, with the least CPU time of several."""
    results = [measure()]
    while len(results) < TIMES and results[-1].get(key, QUICK_SECONDS) < QUICK_SECONDS:
        results.append(measure())
    times = [result[key] for result in results if key in result]
    return results[0] | ({key: min(times)} if times else {})


def _measured(read: Callable[[str], str], path: str, is_program: bool) -> dict:
    # The peak of this process starts at its present size. That of a program is the largest one of all that have run, and at least the
    # size of this process, from which it is started.
    Path("/proc/self/clear_refs").write_text("5")
    whose = resource.RUSAGE_CHILDREN if is_program else resource.RUSAGE_SELF
    before = resource.getrusage(whose)
    try:
        result = {"text": read(path)}
    except BaseException as error:  # noqa: BLE001
        # Libraries raise anything, also panics, which are no `Exception`.
        result = {"error": f"{type(error).__name__}: {error}"[:200]}
    after = resource.getrusage(whose)
    peak = after.ru_maxrss
    if not is_program:
        peak = _peak_kb(Path("/proc/self"))
    return result | {"cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, "peak_kb": peak}


def main() -> int:
    reader = READERS[sys.argv[1]]
    is_program = reader.load is None or reader.load is _ours
    read = reader.load() if reader.load else None
    if read is None:
        if shutil.which(reader.arguments[0]) is None:
            return 1

        def read(path: str) -> str:
            return _run([path if argument == "FILE" else argument for argument in reader.arguments], dict(os.environ))

    # Libraries print to the standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    served = Served()
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        path = line.rstrip("\n")
        answer = _fastest(lambda: _measured(read, path, is_program), "cpu")
        if reader.load is _ours and path.rsplit(".", 1)[-1] not in PICTURES.split():
            answer |= served.read(path)
        print(json.dumps(answer), file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
