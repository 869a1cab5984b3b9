#!/usr/bin/env python3
"""Starts Nvisy and a store of objects with the sample documents, connects and syncs it, and searches; changes a document and
deletes another, syncs again, and searches again.

Nvisy keeps running; the store ends with this program. A second run begins with a new workspace.
"""

import os
import signal
import socket
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

WORKSPACE = "Sync demo"
BUCKET = "documents"
ACCESS_KEY, SECRET_KEY = "demo-key", "demo-secret-key"
SYNC_TIMEOUT_SECONDS = 300
CHANGED, DELETED = "tides.md", "rotor.txt"
NEW_TEXT = "# Tides\n\nThe moon of Barsoom pulls the canals twice a day, and the gondolas wait for the slack.\n"


def main() -> None:
    tour.heading("Starting PostgreSQL, NATS, the API and a worker, which may call this machine")
    # Tenants reach no address of this machine otherwise.
    os.environ.setdefault("NVISY_OUTBOUND_ALLOWED_NETWORKS", "127.0.0.1")
    entries = applications.up(1, "local")
    client = Client(applications.api_url(entries), applications.any_certificate())
    demo_account.log_in(client)
    for old in [old for old in client.workspaces() if old["name"] == WORKSPACE]:
        client.delete_workspace(old["id"])
    workspace = client.create_workspace(WORKSPACE)["id"]

    object_stores.install(applications.HOME)
    with tempfile.TemporaryDirectory(prefix="nvisy-demo-store-") as folder:
        store = Store(Path(folder))
        try:
            run(client, workspace, store)
        finally:
            store.stop()


def run(client, workspace: str, store) -> None:
    """Shows both syncs."""
    tour.heading("A store of objects (S3) with the sample documents")
    documents = sorted(path for path in tour.DOCUMENTS.iterdir() if path.name != "README.md")
    for path in documents:
        store.put(path.name, path.read_bytes())
    store.put(CHANGED, b"# Tides\n\nThe moon pulls the sea twice a day.\n")
    store.put(DELETED, b"The zeppelin of the museum hangs above the rotor hall.\n")
    print(f"  {len(documents) + 2} objects at {store.url}/{BUCKET}")

    tour.heading("Connecting it")
    settings = {"bucket": BUCKET, "endpoint": store.url}
    connection = client.connect(workspace, "store", "s3", settings, {"accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY})
    for step in client.check(workspace, connection["id"])["check"]["steps"]:
        print(f"  {step['name']:8} {'ok' if step['ok'] else 'FAILED'}: {step['detail']}")
    pipeline = client.create_pipeline(workspace, "Store", definition(connection["id"]))["id"]
    client.enable(workspace, pipeline)

    sync(client, workspace, pipeline, "What a sync would do", {"dryRun": True})
    sync(client, workspace, pipeline, "The first sync", {})
    tour.ask(client, workspace, "What does an emergency stop do?")
    tour.ask(client, workspace, "Where does the zeppelin hang?")

    store.put(CHANGED, NEW_TEXT.encode())
    store.delete(DELETED)
    sync(client, workspace, pipeline, f"{CHANGED} is changed, {DELETED} deleted: the second sync", {})
    tour.ask(client, workspace, "What waits for the slack in the canals of Barsoom?")
    names = {hit["file"]["name"] for hit in client.search(workspace, "zeppelin museum", limit=10)["hits"]}
    if DELETED in names:
        raise Failure(f"search still finds {DELETED}")
    print(f"\n  {DELETED} is not found any more.")


def definition(connection: str) -> dict:
    """From the connection to search."""
    nodes = [
        {"id": "in", "type": "source.connection", "connection": connection},
        {"id": "read", "type": "partition"},
        {"id": "cut", "type": "chunk.section"},
        {"id": "vec", "type": "embed"},
        {"id": "out", "type": "sink.collection", "collection": "default"},
    ]
    edges = [{"from": one["id"], "to": next["id"]} for one, next in zip(nodes, nodes[1:])]
    return {"schemaVersion": 1, "nodes": nodes, "edges": edges}


def sync(client, workspace: str, pipeline: str, title: str, body: dict) -> None:
    """Runs a sync to its end and prints its counts."""
    tour.heading(title)
    run = client.start(workspace, pipeline, body)
    deadline = time.monotonic() + SYNC_TIMEOUT_SECONDS
    while "finishedAt" not in run:
        if time.monotonic() > deadline:
            raise Failure("the sync did not end; see `just logs`")
        time.sleep(0.2)
        run = client.run(workspace, run["id"])
    counts = {name: count for name, count in run["sync"].items() if name not in ("dryRun", "pending")}
    print(f"  {run['state']}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if run["state"] != "completed":
        raise Failure("the sync has errors; see `just logs`")


class Store:
    """SeaweedFS on free ports."""

    def __init__(self, folder: Path):
        names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
                 "s3.port", "s3.port.grpc"]
        ports = dict(zip(names, _free_ports(len(names))))
        (folder / "data").mkdir()
        (folder / "s3.json").write_text(
            '{"identities":[{"name":"demo","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":["Read","List"]}]}'
            % (ACCESS_KEY, SECRET_KEY))
        weed = object_stores.directory(applications.HOME) / "weed"
        command = [weed, "server", "-dir=data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.config=s3.json",
                   "-volume.max=20", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0",
                   "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += [f"-{name}={port}" for name, port in ports.items()]
        self.log = folder / "log"
        environment = {"PATH": os.defpath, "HOME": str(folder)}
        self._child = processes.start(command, self.log, environment, directory=str(folder))
        self.url = f"http://127.0.0.1:{ports['s3.port']}"
        self._filer = f"http://127.0.0.1:{ports['filer.port']}/buckets/{BUCKET}"
        if not processes.eventually(self._takes_objects, 60):
            raise Failure(f"the store did not start:\n{processes.tail(self.log)}")

    def put(self, key: str, content: bytes) -> None:
        self._send("PUT", key, content)

    def delete(self, key: str) -> None:
        self._send("DELETE", key)

    def stop(self) -> None:
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(10)
        except Exception:
            self._child.kill()
            self._child.wait()

    def _takes_objects(self) -> bool:
        if self._child.poll() is not None:
            raise Failure(f"the store ended:\n{processes.tail(self.log)}")
        try:
            self._send("PUT", "ready", b"ready")
            self._send("DELETE", "ready")
            return True
        except OSError:
            return False

    def _send(self, method: str, key: str, content: bytes | None = None) -> None:
        request = urllib.request.Request(f"{self._filer}/{key}", content, method=method)
        request.add_header("Content-Type", "application/octet-stream")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(request, timeout=10).close()


def _free_ports(count: int) -> list:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


if __name__ == "__main__":
    if sys.version_info < (3, 11) or sys.platform != "linux":
        sys.exit("demo-sync: needs Linux and Python 3.11 or newer")
    import applications
    import demo_account
    import object_stores
    import processes
    import tour
    from client import Client
    from wheels import Failure

    try:
        main()
    except (Failure, OSError) as failure:
        sys.exit(f"\ndemo-sync: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
