"""Writes a pipeline beside the default one: its preview for one file, its run, and a search of each collection.

A search of both shows a passage once."""

import time

from tour import heading
from wheels import Failure

COLLECTION = "safety"
PIPELINE = "Safety"
MANUAL = "operations-manual.pdf"
QUESTION = "When must the turbines be stopped?"
RUN_TIMEOUT_SECONDS = 120
# Sections about dangers, in a collection of their own.
DEFINITION = {
    "schemaVersion": 1,
    "nodes": [
        {"id": "files", "type": "source.files", "trigger": "manual"},
        {"id": "read", "type": "partition"},
        {"id": "cut", "type": "chunk.section"},
        {"id": "dangers", "type": "filter", "expression": "item.text.matches('(?i)emergency|danger|collision|fire')"},
        {"id": "vectors", "type": "embed"},
        {"id": "out", "type": "sink.collection", "collection": COLLECTION},
    ],
    "edges": [
        {"from": "files", "to": "read"},
        {"from": "read", "to": "cut"},
        {"from": "cut", "to": "dangers"},
        {"from": "dangers", "to": "vectors"},
        {"from": "vectors", "to": "out"},
    ],
}


def run(client, workspace: str) -> None:
    """Runs everything and reports it on standard output."""
    pipeline = _pipeline(client, workspace)
    heading(f"A pipeline of your own: only passages about dangers, to the collection `{COLLECTION}`")
    manual = next(file for file in client.files(workspace) if file["name"] == MANUAL)
    preview = client.preview(workspace, pipeline["id"], [manual["id"]])
    item = next(iter(client.items(workspace, _ended(client, workspace, preview)["id"])))
    print(f"  preview of {MANUAL}, which writes nothing:")
    counts = {node["node"]: sum(output["elements"] for output in node["outputs"]) for node in item["nodes"]}
    for node in DEFINITION["nodes"]:
        if counts.get(node["id"]):
            print(f"    {node['id']:8} {node['type']:14} {counts[node['id']]}")
    done = _ended(client, workspace, client.start(workspace, pipeline["id"]))
    print(f"  run over all files: {done['state']}, {done['items']} items, {done['tokens']} tokens embedded, {done['tokensSaved']} saved")
    _search(client, workspace)


def _pipeline(client, workspace: str) -> dict:
    """The pipeline, created and enabled if it is missing."""
    for pipeline in client.pipelines(workspace):
        if pipeline["name"] == PIPELINE:
            return pipeline
    if not any(collection["name"] == COLLECTION for collection in client.collections(workspace)):
        client.create_collection(workspace, COLLECTION)
    return client.enable(workspace, client.create_pipeline(workspace, PIPELINE, DEFINITION)["id"])


def _ended(client, workspace: str, run: dict) -> dict:
    """The run when it has ended."""
    deadline = time.monotonic() + RUN_TIMEOUT_SECONDS
    while not run.get("finishedAt"):
        if time.monotonic() > deadline:
            raise Failure(f"the run has not ended within {RUN_TIMEOUT_SECONDS} s; see `just logs`")
        time.sleep(0.2)
        run = client.run(workspace, run["id"])
    return run


def _search(client, workspace: str) -> None:
    responses = [client.search(workspace, QUESTION, limit=2, collections=[name]) for name in ("default", COLLECTION)]
    heading(f"{QUESTION}  ({sum(response['tookMs'] for response in responses)} ms, in each collection)")
    for hit in (hit for response in responses for hit in response["hits"]):
        path = " > ".join(hit.get("headingPath") or [])
        print(f"  {hit['collection']['name']:8} {hit['file']['name']}{': ' + path if path else ''}")
