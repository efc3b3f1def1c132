"""A file server on this machine that knows byte ranges, and can break off, refuse or ignore them."""

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served, how, and what was asked for.

    Attributes:
        files: content by name.
        ranges: whether it answers to Range.
        breaks_after: bytes of an answer after which the connection is closed once.
        requests: (name, value of Range) of every request.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    breaks_after: int | None = None
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def __enter__(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_port}/mirror"


def handler_of(served):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/mirror/")
            wanted = self.headers.get("Range")
            served.requests.append((name, wanted))
            content = served.files.get(name)
            if content is None:
                self.send_error(404)
                return
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and served.ranges else 0
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.end_headers()
                return
            self.send_response(206 if wanted and served.ranges else 200)
            if wanted and served.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            stop = len(content) if served.breaks_after is None else start + served.breaks_after
            served.breaks_after = None
            self.wfile.write(content[start:stop])

        def log_message(self, *_):
            pass

    return Handler
