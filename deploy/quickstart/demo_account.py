"""The account of the demos: its address, and its password in a file of this checkout."""

import json
import os
import secrets
from pathlib import Path

import applications
from client import HttpError

EMAIL = "demo@example.com"


def log_in(client) -> None:
    """Uses the account, which the first demo signs up."""
    file = password_file()
    if not file.exists():
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as output:
            json.dump({"email": EMAIL, "password": secrets.token_urlsafe(18)}, output)
    password = json.loads(file.read_text())["password"]
    try:
        client.login(EMAIL, password)
        return
    except HttpError as error:
        if error.status != 401:
            raise
    client.sign_up(EMAIL, password, "Demo", applications.allow_sign_up(EMAIL, "local"))
    client.login(EMAIL, password)


def password_file() -> Path:
    """Where the password is."""
    return applications.HOME / "demo.json"
