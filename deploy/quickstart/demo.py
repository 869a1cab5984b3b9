#!/usr/bin/env python3
"""The main job, end to end: starts Nvisy, uploads the sample documents, waits for the index, asks three questions.

Leaves everything running. A second run finds what the first has made and creates nothing.
"""

import json
import os
import secrets
import sys
import textwrap
import time
from pathlib import Path

DOCUMENTS = Path(__file__).resolve().parents[1] / "demo"
EMAIL = "demo@example.com"
WORKSPACE = "Demo"
QUESTIONS = [
    "How strong may the current be before a turbine has to be stopped?",
    "Which coating keeps barnacles off the blades for the longest time?",
    "What happens when a seal comes near a turning rotor?",
]
# Five short documents take seconds; a machine that needs longer than this has another problem.
PATIENCE = 300


def main() -> None:
    just = sys.argv[1] if len(sys.argv) > 1 else "just"
    _say("Starting PostgreSQL, NATS, the API and a worker")
    entries = applications.up(_workers(), "release")
    base = applications.api_url(entries)
    print(f"  ready at {base}")

    client = Client(base)
    _enter(client)
    workspace = next((w for w in client.workspaces() if w["name"] == WORKSPACE), None) or client.create_workspace(WORKSPACE)
    _index(client, workspace["id"])
    for question in QUESTIONS:
        _ask(client, workspace["id"], question)

    _say("Everything keeps running")
    print(f"  API reference   {base}/api/scalar")
    print(f"  Account         {EMAIL}, password in {_password_file().relative_to(applications.CHECKOUT)}")
    print(f"  Stop            {just} down")


def _workers() -> int:
    """As many as run already: the demo scales nothing down."""
    running = [name for name in applications.read() if name.startswith("worker-")]
    return max(1, len(running))


def _enter(client) -> None:
    file = _password_file()
    if not file.exists():
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as output:
            json.dump({"email": EMAIL, "password": secrets.token_urlsafe(18)}, output)
    password = json.loads(file.read_text())["password"]
    try:
        client.login(EMAIL, password)
        return
    except Refused as refused:
        if refused.status != 401:
            raise
    try:
        client.sign_up(EMAIL, password, "Demo")
    except Refused as refused:
        if refused.status == 409:
            raise Failure(f"{EMAIL} exists with a password other than the one in {file}") from None
        raise
    client.login(EMAIL, password)


def _index(client, workspace: str) -> None:
    _say("Uploading the sample documents")
    paths = sorted(path for path in DOCUMENTS.iterdir() if path.name != "README.md")
    names = {path.name for path in paths}
    files = {file["name"]: file for file in client.files(workspace) if file["name"] in names}
    missing = [path for path in paths if path.name not in files]
    if missing:
        files |= {file["name"]: file for file in client.upload(workspace, missing)}
    print(f"  {len(missing)} uploaded, {len(paths) - len(missing)} there already")

    shown = {}
    deadline = time.monotonic() + PATIENCE
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
            raise Failure(f"not everything was indexed within {PATIENCE} s; see `just logs`")
        time.sleep(0.2)


def _progress(file: dict) -> str:
    if file["state"] == "failed":
        failure = file.get("failure") or {}
        return f"failed: {failure.get('code')} {failure.get('detail') or ''}"
    progress = file.get("progress") or {}
    if file["state"] == "processing" and progress.get("total"):
        return f"{progress['stage']} {progress['done']}/{progress['total']}"
    return file["state"]


def _ask(client, workspace: str, question: str) -> None:
    answer = client.search(workspace, question, limit=3)
    _say(f"{question}  ({answer['tookMs']} ms)")
    for rank, hit in enumerate(answer["hits"], 1):
        place = hit["file"]["name"] + (f", page {hit['page']}" if hit.get("page") else "")
        print(f"  {rank}. {place}  [score {hit['score']:.4f}]")
        if hit.get("headingPath"):
            print(f"     {' > '.join(hit['headingPath'])}")
        snippet = " ".join(hit["snippet"]["text"].split())
        print(textwrap.fill(snippet, 100, initial_indent="     ", subsequent_indent="     ", max_lines=3, placeholder=" ..."))
    if not answer["hits"]:
        raise Failure("the search found nothing")


def _password_file() -> Path:
    return applications.HOME / "demo.json"


def _say(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    if sys.version_info < (3, 11) or sys.platform != "linux":
        sys.exit("demo: needs Linux and Python 3.11 or newer")
    import applications
    from client import Client, Refused
    from wheels import Failure

    try:
        main()
    except (Failure, OSError) as failure:
        sys.exit(f"\ndemo: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
