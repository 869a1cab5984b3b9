"""A client for the operations that the demo uses, with the standard library only."""

import http.client
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request

from wheels import Failure


class HttpError(Failure):
    """An unsuccessful response with its HTTP status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Client:
    """Calls the API at `base`, without credentials until `login`. `tls` is the context that verifies its certificate."""

    def __init__(self, base: str, tls=None):
        self._base = f"{base}/api/v1"
        self._token = None
        # The API is on this machine: ignore the environment's proxies.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))

    def sign_up(self, email: str, password: str, name: str, code: str) -> None:
        """Creates an account with the code of `nvisy-api allow-sign-up`."""
        self._send("POST", "/auth/sign-up", {"email": email, "password": password, "displayName": name, "inviteCode": code})

    def login(self, email: str, password: str) -> None:
        """Uses this account for all further calls; `HttpError` with 401 if the password is wrong."""
        self._token = self._send("POST", "/auth/login", {"email": email, "password": password})["accessToken"]

    def workspaces(self):
        """All workspaces of the account."""
        return self._pages("/workspaces")

    def create_workspace(self, name: str) -> dict:
        return self._send("POST", "/workspaces", {"name": name})

    def files(self, workspace: str):
        """All files of a workspace."""
        return self._pages(f"/workspaces/{workspace}/files")

    def file(self, workspace: str, file: str) -> dict:
        return self._send("GET", f"/workspaces/{workspace}/files/{file}")

    def content(self, workspace: str, file: str) -> bytes:
        """The uploaded bytes."""
        return self._request("GET", f"/workspaces/{workspace}/files/{file}/content")

    def upload(self, workspace: str, paths: list, key: str | None = None) -> list:
        """Uploads all files in one request and returns them, not yet indexed. Repeatable with the same `key`."""
        boundary = secrets.token_hex(16)
        parts = []
        for path in paths:
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
            parts += [head.encode(), path.read_bytes(), b"\r\n"]
        parts.append(f"--{boundary}--\r\n".encode())
        kind = f"multipart/form-data; boundary={boundary}"
        return self._send("POST", f"/workspaces/{workspace}/files", b"".join(parts), kind, key)["items"]

    def search(self, workspace: str, query: str, limit: int, collections: list | None = None) -> dict:
        """The best hits, in all collections or in these."""
        body = {"query": query, "mode": "hybrid", "limit": limit} | ({"collections": collections} if collections else {})
        return self._send("POST", f"/workspaces/{workspace}/search", body)

    def collections(self, workspace: str):
        return self._pages(f"/workspaces/{workspace}/collections")

    def create_collection(self, workspace: str, name: str) -> dict:
        return self._send("POST", f"/workspaces/{workspace}/collections", {"name": name})

    def pipelines(self, workspace: str):
        return self._pages(f"/workspaces/{workspace}/pipelines")

    def create_pipeline(self, workspace: str, name: str, definition: dict) -> dict:
        """A draft."""
        return self._send("POST", f"/workspaces/{workspace}/pipelines", {"name": name, "definition": definition})

    def enable(self, workspace: str, pipeline: str) -> dict:
        return self._send("PATCH", f"/workspaces/{workspace}/pipelines/{pipeline}", {"state": "enabled"})

    def preview(self, workspace: str, pipeline: str, files: list) -> dict:
        """The run of a preview, which may not have ended."""
        body = {"files": files, "waitSeconds": 20}
        return self._send("POST", f"/workspaces/{workspace}/pipelines/{pipeline}/preview", body)

    def start(self, workspace: str, pipeline: str, body: dict | None = None) -> dict:
        """A run over all files, or a sync."""
        return self._send("POST", f"/workspaces/{workspace}/pipelines/{pipeline}/runs", body or {})

    def connect(self, workspace: str, name: str, provider: str, settings: dict, credentials: dict) -> dict:
        """A connection to another system."""
        body = {"name": name, "provider": provider, "settings": settings, "credentials": credentials}
        return self._send("POST", f"/workspaces/{workspace}/connections", body)

    def check(self, workspace: str, connection: str) -> dict:
        """The connection, with the result of a check."""
        return self._send("POST", f"/workspaces/{workspace}/connections/{connection}/check", {})

    def delete_workspace(self, workspace: str) -> None:
        self._request("DELETE", f"/workspaces/{workspace}")

    def run(self, workspace: str, run: str) -> dict:
        return self._send("GET", f"/workspaces/{workspace}/runs/{run}")

    def items(self, workspace: str, run: str):
        return self._pages(f"/workspaces/{workspace}/runs/{run}/items")

    def _pages(self, path: str):
        cursor = None
        while True:
            query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
            page = self._send("GET", f"{path}?{urllib.parse.urlencode(query)}")
            yield from page["items"]
            cursor = page.get("nextCursor")
            if not cursor:
                return

    def _send(self, method: str, path: str, body=None, kind: str = "application/json", key: str | None = None):
        data = json.dumps(body).encode() if kind == "application/json" and body is not None else body
        try:
            return json.loads(self._request(method, path, data, kind, key))
        except ValueError as error:
            raise Failure(f"{method} {path}: {error}") from None

    def _request(self, method: str, path: str, data: bytes | None = None, kind: str = "", key: str | None = None) -> bytes:
        request = urllib.request.Request(self._base + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", kind)
        if key:
            request.add_header("Idempotency-Key", key)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(request, timeout=60) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            raise HttpError(error.code, f"{method} {path}: {error.code} {_problem(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"{method} {path}: {error}") from None


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        return f"{problem.get('title', '')} {problem.get('detail') or ''} (request {problem.get('requestId')})"
    except (OSError, ValueError):
        return error.reason
