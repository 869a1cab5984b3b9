"""The few calls of the Nvisy API that the demo makes, with nothing but the standard library."""

import http.client
import json
import secrets
import urllib.error
import urllib.parse
import urllib.request

from wheels import Failure


class Refused(Failure):
    """An answer that is not a success; `status` is its HTTP status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Client:
    """Speaks JSON with the API at `base`, as nobody until `login`. `tls` says which certificate is good enough."""

    def __init__(self, base: str, tls=None):
        self._base = f"{base}/api/v1"
        self._token = None
        # The API is on this machine, whatever proxy the environment names.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))

    def sign_up(self, email: str, password: str, name: str, code: str) -> None:
        """Creates an account, with the code of `nvisy-api admit`."""
        self._send("POST", "/auth/sign-up", {"email": email, "password": password, "displayName": name, "inviteCode": code})

    def login(self, email: str, password: str) -> None:
        """All further calls are this account's; `Refused` with 401 when the password is wrong."""
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
        """The file as it was uploaded."""
        return self._answer("GET", f"/workspaces/{workspace}/files/{file}/content")

    def upload(self, workspace: str, paths: list, key: str | None = None) -> list:
        """Uploads all of them in one request; returns the accepted files, not indexed yet. With the same `key` it may be repeated."""
        boundary = secrets.token_hex(16)
        parts = []
        for path in paths:
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
            parts += [head.encode(), path.read_bytes(), b"\r\n"]
        parts.append(f"--{boundary}--\r\n".encode())
        kind = f"multipart/form-data; boundary={boundary}"
        return self._send("POST", f"/workspaces/{workspace}/files", b"".join(parts), kind, key)["items"]

    def search(self, workspace: str, query: str, limit: int) -> dict:
        return self._send("POST", f"/workspaces/{workspace}/search", {"query": query, "mode": "hybrid", "limit": limit})

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
            return json.loads(self._answer(method, path, data, kind, key))
        except ValueError as error:
            raise Failure(f"{method} {path}: {error}") from None

    def _answer(self, method: str, path: str, data: bytes | None = None, kind: str = "", key: str | None = None) -> bytes:
        request = urllib.request.Request(self._base + path, data, method=method)
        if data is not None:
            request.add_header("Content-Type", kind)
        if key:
            request.add_header("Idempotency-Key", key)
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with self._opener.open(request, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, f"{method} {path}: {error.code} {_problem(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"{method} {path}: {error}") from None


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        return f"{problem.get('title', '')} {problem.get('detail') or ''} (request {problem.get('requestId')})"
    except (OSError, ValueError):
        return error.reason
