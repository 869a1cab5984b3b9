"""The references of `peers.py` that are no readers of one format: the standard library of Python, and LibreOffice."""

import codecs
import email
import email.policy
import hashlib
import html
import json
import mailbox
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

SHEETS = "ods xls xlsb xlsx"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
# A system whose dates are ISO dates, as here, and results of formulas as they are in the file.
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Setup/L10N"><prop oor:name="ooSetupSystemLocale"><value>en-CA</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode"><value>1</value></prop></item>
</oor:items>
"""
# Errors of formulas, of which LibreOffice has its own.
ERROR = re.compile(r"#N/A|#[A-Z0-9/]+[!?]|Err:\d+")
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
# Bytes of pictures, and fields that LibreOffice fills: the number of the page, and the time of the conversion unless it is fixed.
NO_WORDS = {f"{OFFICE}binary-data", f"{TEXT}page-number", f"{TEXT}date", f"{TEXT}time"}


def python() -> Callable[[str], str]:
    """The standard library of Python."""

    def read(path: str) -> str:
        name = path.rsplit(".", 1)[-1]
        if name == "eml":
            return _mail_text(email.message_from_bytes(Path(path).read_bytes(), policy=email.policy.default))
        if name == "mbox":
            box = mailbox.mbox(path, factory=lambda file: email.message_from_binary_file(file, policy=email.policy.default))
            # A file of one mail without the line between mails.
            mails = list(box) or [email.message_from_bytes(Path(path).read_bytes(), policy=email.policy.default)]
            return "\n".join(_mail_text(mail) for mail in mails)
        content = Path(path).read_bytes()
        if name == "json":
            return "\n".join(_strings(json.loads(content)))
        if name == "xml":
            return "\n".join(ElementTree.fromstring(content).itertext())
        if name == "txt":
            return content.decode(_named_encoding(Path(path)))
        return content.decode()

    return read


def _mail_text(mail: email.message.EmailMessage) -> str:
    body = mail.get_body(("plain", "html"))
    if body is None:
        return ""
    text = body.get_content()
    return without_tags(text) if body.get_content_subtype() == "html" else text


def without_tags(page: str) -> str:
    page = re.sub(r"(?is)<(script|style|title)\b.*?</\1>|<!--.*?-->", " ", page)
    return html.unescape(re.sub(r"(?s)<[^>]*>", " ", page))


def _strings(value) -> list[str]:
    """The keys and values of a JSON file."""
    if isinstance(value, dict):
        return [text for key, member in value.items() for text in [key, *_strings(member)]]
    if isinstance(value, list):
        return [text for member in value for text in _strings(member)]
    return [json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value]


def _named_encoding(path: Path) -> str:
    """The encoding in the name of a file of `corpus.py`: `uchardet-de-iso-8859-1-0a1b2c3d.txt`."""
    words = path.stem.split("-")[2:-1]
    for count in range(len(words)):
        name = "-".join(words[count:]).replace("mac-", "mac_").replace("tis-620", "tis_620")
        try:
            codecs.lookup(name)
        except LookupError:
            continue
        return name
    return "utf-8"


def converted() -> Callable[[str], str]:
    """What LibreOffice has made of the files before."""
    folder = Path(os.environ["PEERS_CONVERTED"])
    return lambda path: (folder / f"{digest(Path(path))}.txt").read_text(errors="replace")


def digest(path: Path) -> str:
    """The name of a converted file; other conversions have other ones."""
    return hashlib.sha256(Path(__file__).read_bytes() + path.read_bytes()).hexdigest()[:24]


def convert_with_libreoffice(paths: list[Path], folder: Path, seconds: int) -> bool:
    """Writes the texts of files of one format to a folder, if LibreOffice reads all of them: of slides as XML, of sheets as CSV."""
    suffix = paths[0].suffix.lower()
    target = "fodp" if suffix in (".odp", ".ppt", ".pptx") else "txt:Text (encoded):UTF8"
    if suffix.removeprefix(".") in SHEETS.split():
        # Separator, quotation mark, UTF-8, from the first line, numbers as cells show them, all sheets.
        target = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,true,false,false,-1"
    with tempfile.TemporaryDirectory() as scratch:
        # A profile of its own, in which no other one waits.
        profile = f"-env:UserInstallation=file://{scratch}/profile"
        settings = Path(scratch, "profile/user/registrymodifications.xcu")
        settings.parent.mkdir(parents=True)
        settings.write_text(SETTINGS)
        command = ["soffice", "--headless", profile, "--convert-to", target, "--outdir", f"{scratch}/out", *paths]
        # The program starts another one, which stays when it ends.
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            if process.wait(seconds) != 0:
                return False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return False
        for path in paths:
            made = sorted(Path(scratch, "out").glob(f"{path.stem}-*.csv" if target.startswith("csv") else f"{path.stem}.*"))
            if made:
                text = "\n".join(_slides(one) if target == "fodp" else one.read_text(errors="replace") for one in made)
                text = ERROR.sub("", text) if target.startswith("csv") else text
                (folder / f"{digest(path)}.txt").write_text(text)
    return True


def _slides(path: Path) -> str:
    """The paragraphs of slides and notes in an OpenDocument file of one part."""
    body = ElementTree.parse(path).find(f"{OFFICE}body")
    return "\n".join(_paragraph(element) for element in body.iter() if element.tag in (f"{TEXT}p", f"{TEXT}h"))


def _paragraph(element: ElementTree.Element) -> str:
    parts = [element.text or ""]
    for child in element:
        is_space = child.tag in (f"{TEXT}s", f"{TEXT}tab", f"{TEXT}line-break")
        is_word = child.tag not in NO_WORDS or child.get(f"{TEXT}fixed") == "true"
        parts += [" " if is_space else _paragraph(child) if is_word else "", child.tail or ""]
    return "".join(parts)
