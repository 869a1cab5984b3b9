"""The mail server of the tests: aiosmtpd with TLS and authentication, which its command line lacks.

Stores mails in FOLDER/mail, and the commands of clients in FOLDER/log.
"""

import argparse
import asyncio
import logging
import pathlib
import ssl

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("port", type=int)
parser.add_argument("--tls", choices=["implicit", "starttls"], help="needs FOLDER/chain.pem and FOLDER/key.pem")
parser.add_argument("--password", help="required from the user `nvisy`")
options = parser.parse_args()

logging.basicConfig(filename=options.folder / "log", level=logging.DEBUG)
context = None
if options.tls:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.folder / "chain.pem", options.folder / "key.pem")
handler = Mailbox(options.folder / "mail")


def authenticate(server, session, envelope, mechanism, data):
    correct = (data.login, data.password) == (b"nvisy", options.password.encode())
    return AuthResult(success=correct, handled=False)


def connection():
    return SMTP(
        handler,
        hostname="mail.test",
        tls_context=context if options.tls == "starttls" else None,
        require_starttls=options.tls == "starttls",
        auth_required=options.password is not None,
        # The protocol does not know that a connection has implicit TLS.
        auth_require_tls=options.tls == "starttls",
        authenticator=authenticate if options.password is not None else None,
    )


async def serve():
    implicit = context if options.tls == "implicit" else None
    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", options.port, ssl=implicit)
    await server.serve_forever()


asyncio.run(serve())
