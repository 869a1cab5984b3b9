"""Uploads the sample documents to an API, waits for the index and asks three questions."""

import textwrap
import time
from pathlib import Path

from wheels import Failure

DOCUMENTS = Path(__file__).resolve().parents[1] / "demo"
QUESTIONS = [
    "What does an emergency stop do?",
    "What happens when a porpoise comes close to the rotor?",
    "Why is the spring tide worth nine neap tides?",
]
# Five short documents take seconds.
INDEX_TIMEOUT_SECONDS = 300


def run(client, workspace: str) -> None:
    """Runs the whole tour and reports it on standard output."""
    index(client, workspace)
    for question in QUESTIONS:
        ask(client, workspace, question)


def index(client, workspace: str) -> None:
    heading("Uploading the sample documents")
    paths = sorted(path for path in DOCUMENTS.iterdir() if path.name != "README.md")
    names = {path.name for path in paths}
    files = {file["name"]: file for file in client.files(workspace) if file["name"] in names}
    missing = [path for path in paths if path.name not in files]
    if missing:
        files |= {file["name"]: file for file in client.upload(workspace, missing)}
    print(f"  {len(missing)} uploaded, {len(paths) - len(missing)} there already")

    shown = {}
    deadline = time.monotonic() + INDEX_TIMEOUT_SECONDS
    while True:
        for name, file in files.items():
            if shown.get(name, "").startswith("ready"):
                continue
            file = client.file(workspace, file["id"])
            if (line := _progress(file)) != shown.get(name):
                shown[name] = line
                print(f"  {name:26} {line}", flush=True)
            if file["state"] == "failed":
                raise Failure(f"{name} could not be indexed")
        if all(line.startswith("ready") for line in shown.values()):
            return
        if time.monotonic() > deadline:
            raise Failure(f"not everything was indexed within {INDEX_TIMEOUT_SECONDS} s; see `just logs`")
        time.sleep(0.2)


def _progress(file: dict) -> str:
    if file["state"] == "failed":
        failure = file.get("failure") or {}
        return f"failed: {failure.get('code')} {failure.get('detail') or ''}"
    progress = file.get("progress") or {}
    if file["state"] == "processing" and progress.get("total"):
        return f"{progress['stage']} {progress['done']}/{progress['total']}"
    return file["state"]


def ask(client, workspace: str, question: str) -> None:
    """Prints the best hit: file, page, headings and the passage."""
    response = client.search(workspace, question, limit=1)
    heading(f"{question}  ({response['tookMs']} ms)")
    if not response["hits"]:
        raise Failure("the search found nothing")
    hit = response["hits"][0]
    print(f"  {hit['file']['name']}" + (f", page {hit['page']}" if hit.get("page") else ""))
    if hit.get("headingPath"):
        print(f"  {' > '.join(hit['headingPath'])}")
    passage = " ".join(hit["snippet"]["text"].split())
    print(textwrap.fill(passage, 100, initial_indent="    ", subsequent_indent="    "))


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)
