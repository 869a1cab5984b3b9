"""Values that no schema describes, in requests that are to be accepted."""

import datetime
import json
import uuid

import schemathesis
from schemathesis.generation import GenerationMode

STRONG = "seven otters juggle"
# The operation `listNodeTypes` returns the schema of definitions; a graph has rules beyond any schema.
DEFINITION = {
    "schemaVersion": 1,
    "nodes": [
        {"id": "in", "type": "source.files"},
        {"id": "read", "type": "partition"},
        {"id": "cut", "type": "chunk.section"},
        {"id": "out", "type": "sink.collection", "collection": "default"},
    ],
    "edges": [{"from": "in", "to": "read"}, {"from": "read", "to": "cut"}, {"from": "cut", "to": "out"}],
}

DEFINING = ("createPipeline", "updatePipeline", "previewPipeline", "startInlineRun", "forkRun")


def use_unknown_reranker(search):
    """A connection need not exist; one that does may be unable to rerank."""
    if isinstance(search.get("rerank"), dict) and "connection" in search["rerank"]:
        search["rerank"]["connection"] = str(uuid.uuid4())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces the values of which only the server knows whether they are good."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    # A key belongs to one request; the generator reuses short ones.
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    # A cursor is opaque, and belongs to one list. A filter in a query is a text with JSON.
    if case.query:
        case.query.pop("cursor", None)
        if "filter" in case.query:
            case.query["filter"] = json.dumps({"field": "name", "op": "eq", "value": "tide.txt"})
    body = case.body
    if isinstance(body, dict):
        operation = case.operation.definition.raw["operationId"]
        # Passwords that are easy to guess are refused.
        if case.operation.definition.raw["operationId"] == "signUp":
            body["password"] = STRONG
        if "newPassword" in body:
            body["newPassword"] = STRONG
        # At most a year from now.
        if "expiresAt" in body:
            expiry = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
            body["expiresAt"] = expiry.isoformat().replace("+00:00", "Z")
        if "definition" in body and case.operation.definition.raw["operationId"] in DEFINING:
            body["definition"] = DEFINITION
        # Nodes, versions and pipelines that a request names must exist.
        for field in ("recomputeFrom", "fromNode", "version"):
            body.pop(field, None)
        if case.operation.definition.raw["operationId"] == "uploadFiles":
            body.pop("pipeline", None)
            body.pop("collection", None)
            # A file follows the parts that describe it.
            if "file" in body:
                body["file"] = body.pop("file")
        # Either files or a sample.
        if operation == "previewPipeline" and (body.get("files") is None) == (body.get("sample") is None):
            body.pop("files", None)
            body["sample"] = 1
        # An address is more than a line.
        for run in (body, body.get("request")):
            if operation == "startInlineRun" and isinstance(run, dict) and isinstance(run.get("webhook"), dict):
                run["webhook"]["url"] = "https://example.org/ended"
        # A form has the run in a part of its own, and files follow the parts that describe them.
        if operation == "startInlineRun" and isinstance(body.get("request"), dict):
            body["request"]["definition"] = DEFINITION
            if "file" in body:
                body["file"] = body.pop("file")
        # Size, depth and number of values are limited.
        if body.get("metadata") and case.operation.definition.raw["operationId"] == "updateFile":
            body["metadata"] = {"review": {"state": "draft"}, "year": 2026}
        # A collection has one of the server's models, and no name that is an id.
        if case.operation.definition.raw["operationId"] in ("createCollection", "updateCollection"):
            # Dimensions and quantisation are those of a model in the same request.
            for field in ("model", "dimensions", "quantisation"):
                body.pop(field, None)
        # The server of this test has one model; a connection need not exist.
        if operation in ("createSecondSpace", "estimateSecondSpace"):
            body.pop("model", None)
            body["connection"] = str(uuid.uuid4())
        # Texts with a form of their own, and fields that depend on each other.
        if operation == "importQueries":
            body.clear()
            body["jsonl"] = json.dumps({"query": "tide", "judgements": [{"externalId": "drive/a", "grade": 2}]})
        if operation == "judgeHit":
            body.pop("start", None)
            body.pop("end", None)
        # An entry has a letter or digit, and no other entry of its list is the same words.
        if operation == "replaceSynonyms":
            for synonyms in body["sets"]:
                for entries in synonyms.values():
                    entries[:] = [f"word {number}" for number in range(len(entries))]
        # A past time that collections without a history have not kept.
        if operation == "createSnapshot":
            body.pop("at", None)
        # A pipeline must exist, and a time has a year of four digits.
        if operation == "retryItems":
            body.pop("pipeline", None)
            body.pop("since", None)
        if operation == "startEvaluation":
            use_unknown_reranker(body.get("settings", {}))
            body.pop("fitWeights", None)
            for field in ("collections", "secondSpace"):
                body.get("settings", {}).pop(field, None)
        searches = {"search": [body], "searchBatch": body.get("searches", [])}.get(operation, [])
        for search in searches:
            # The embedding space decides about the length of a vector; without one, a search needs words.
            search.pop("vector", None)
            search["query"] = search.get("query") or "tide"
            use_unknown_reranker(search)
        # One of both, which need not exist.
        if operation == "searchSimilar":
            body.pop("chunk", None)
            body["file"] = str(uuid.uuid4())
        for search in [body] if operation == "searchSimilar" else searches:
            for field in ("asOf", "collections", "cursor"):
                search.pop(field, None)
            if search.get("groupBy") is None:
                search.pop("perFile", None)
