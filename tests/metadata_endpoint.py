"""The address from which a machine of AWS learns its role's credentials, as boto3 asks for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "a-token-of-the-metadata-service"
_ROLE = "/latest/meta-data/iam/security-credentials/"


@dataclass
class MetadataEndpoint:
    """What it says, and what it was asked.

    Attributes:
        credentials: The role's `AccessKeyId`, `SecretAccessKey` and, if any, `Token`.
        url: Where it listens; boto3 takes it from AWS_EC2_METADATA_SERVICE_ENDPOINT.
        asked: The paths, in order.
    """

    credentials: dict[str, str]
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def machine_with_a_role(**credentials: str) -> Iterator[MetadataEndpoint]:
    """Serve a role's credentials on loopback, to those who fetched a token first (IMDSv2)."""
    endpoint = MetadataEndpoint(credentials)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer(TOKEN if self.path == "/latest/api/token" else None)

        def do_GET(self) -> None:
            if self.headers.get("x-aws-ec2-metadata-token") != TOKEN:
                self._answer(None)
            elif self.path == _ROLE:
                self._answer("the-role")
            elif self.path == f"{_ROLE}the-role":
                expiry = {"Code": "Success", "Expiration": "2099-01-01T00:00:00Z"}
                self._answer(json.dumps({"Token": "", **endpoint.credentials, **expiry}))
            else:
                self._answer(None)

        def _answer(self, text: str | None) -> None:
            endpoint.asked.append(self.path)
            body = (text or "").encode()
            self.send_response(404 if text is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()
