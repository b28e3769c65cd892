"""Serves a deployed web UI and its API on one origin, as CloudFront does on AWS.

The emulator's distribution serves the files, with the headers of the template, but refuses an API as an origin.
"""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

API = "/api"
# Headers that are not passed on: those of one connection (RFC 9110, 7.6.1), and the length, which is computed again.
OWN_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length"}


def handler(api_url: str, web_url: str) -> type[BaseHTTPRequestHandler]:
    """Returns the handler that passes requests on to the API or to the distribution, which is known by its host."""
    api, web = urlsplit(api_url), urlsplit(web_url)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Without it, the content of each answer waits for the acknowledgement of its headers.
        disable_nagle_algorithm = True

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            path = self.path
            if path.startswith(f"{API}/"):
                path = api.path + path.removeprefix(API)
            else:
                # It redirects what was not sent by HTTPS.
                headers |= {"Host": web.netloc, "X-Forwarded-Proto": "https"}
            upstream = http.client.HTTPConnection(api.hostname, api.port, timeout=60)
            upstream.request(self.command, path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in OWN_HEADERS:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            upstream.close()

        do_GET = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Logs nothing: the smoke test says what it has asked for."""

    return Handler


@contextmanager
def edge(api_url: str, web_url: str) -> Iterator[str]:
    """Serves until the end of the block; gives the URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(api_url, web_url)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
