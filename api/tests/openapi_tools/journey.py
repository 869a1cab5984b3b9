"""Uploads a file, waits until it is indexed, and finds it, with the client that openapi-python-client generated."""

import os
import time
from io import BytesIO
from uuid import UUID

from nvisy_client import AuthenticatedClient
from nvisy_client.api.files import read_file, read_file_text, upload_files
from nvisy_client.api.members import list_members
from nvisy_client.api.search import search
from nvisy_client.models import (
    Accepted,
    FileState,
    FilterAnd,
    Member,
    MemberPage,
    Mode,
    Problem,
    Role,
    SearchRequest,
    SearchResponse,
    TextCondition,
    TextConditionField,
    TextConditionOp,
    UploadForm,
    UploadFormMetadata,
    UploadOutcome,
)
from nvisy_client.models import File as IndexedFile
from nvisy_client.types import File

TEXT = "The tide turns at noon. The turbine blades are cleaned twice a year."

workspace = UUID(os.environ["WS"])
client = AuthenticatedClient(base_url=os.environ["BASE"], token=os.environ["TOKEN"])

form = UploadForm(
    file=[File(payload=BytesIO(TEXT.encode()), file_name="blades.txt", mime_type="text/plain")],
    external_id="drive/blades",
    tags=["manual", "blades"],
    metadata=UploadFormMetadata.from_dict({"site": {"name": "Fall of Warness"}}),
)
accepted = upload_files.sync(workspace, client=client, body=form)
assert isinstance(accepted, Accepted), accepted
[uploaded] = accepted.items
assert uploaded.outcome == UploadOutcome.CREATED, uploaded
assert uploaded.external_id == "drive/blades" and uploaded.tags == ["manual", "blades"], uploaded
assert uploaded.metadata.to_dict() == {"site": {"name": "Fall of Warness"}}, uploaded

found_file = read_file.sync(workspace, uploaded.id, client=client)
assert isinstance(found_file, IndexedFile), found_file
file = found_file

deadline = time.monotonic() + 120
while file.state in (FileState.QUEUED, FileState.PROCESSING):
    assert time.monotonic() < deadline, file
    time.sleep(0.1)
    current = read_file.sync(workspace, file.id, client=client)
    assert isinstance(current, IndexedFile), current
    file = current
assert file.state == FileState.READY, file

is_text = TextCondition(TextConditionField.NAME, TextConditionOp.EQ, "blades.txt")
query = SearchRequest(query="How often are the blades cleaned?", filter_=FilterAnd([is_text]), mode=Mode.HYBRID)
found = search.sync(workspace, client=client, body=query)
assert isinstance(found, SearchResponse), found
assert found.hits and found.hits[0].file.id == file.id, found

assert read_file_text.sync(workspace, file.id, client=client) == TEXT

members = list_members.sync(workspace, client=client)
assert isinstance(members, MemberPage), members
[owner] = members.items
assert isinstance(owner, Member) and owner.role == Role.OWNER, owner

missing = read_file.sync(workspace, workspace, client=client)
assert isinstance(missing, Problem) and missing.code == "not_found", missing
