"""Chromium without a window, driven over a pipe by its DevTools protocol: no driver, no port, no package."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0  # seconds
KEYS = {"Escape": 27, "Enter": 13, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38}


def chromium_or_skip() -> str:
    """Path of Chromium; tests without one are skipped with the reason."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("Chromium is not here (Debian: apt-get install chromium)")
    return found


class BrowserError(Exception):
    """Chromium refused a command, or a script threw."""


class Browser:
    """A Chromium, with no network.

    Args:
        path: of the program.
    """

    def __init__(self, path: str) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_read, self._write = _pipe()
        self._read, to_write = _pipe()
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run",
            "--disable-extensions", "--disable-background-networking", "--disable-component-update",
            "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={self._profile.name}", "about:blank",
        ]  # fmt: skip
        script = f'exec "$@" 3<&{to_read} 4>&{to_write} {to_read}<&- {to_write}>&-'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", path, *options],
            pass_fds=(to_read, to_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number = b"", 0
        self.pages: dict[str, Page] = {}

    def close(self) -> None:
        """End it."""
        try:
            self.command("Browser.close")
        except (BrowserError, OSError, TimeoutError):
            self._process.kill()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._profile.cleanup()

    def command(self, method: str, parameters: dict[str, Any] | None = None, session: str | None = None) -> Any:
        """Send a command and wait for its answer; what else comes goes to the pages."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while (answer := self._next(end)).get("id") != self._number:
            self._tell(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def listen(self, seconds: float) -> None:
        """Take in what happens for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                self._tell(self._next(end))
            except TimeoutError:
                return

    def open(
        self, path: Path, *, width: int = 1440, height: int = 900, is_dark: bool = False, address: str = ""
    ) -> "Page":
        """A page of its own, loaded from a file."""
        target = self.command("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.command("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = Page(self, session, target)
        self.pages[session] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.command(f"{domain}.enable")
        offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        page.command("Network.emulateNetworkConditions", offline)
        page.resize(width, height)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        page.command("Emulation.setEmulatedMedia", {"features": scheme})
        page.command("Page.navigate", {"url": path.absolute().as_uri() + address})
        page.wait("document.readyState === 'complete' && document.querySelector('h1')")
        return page

    def _next(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            some = os.read(self._read, 1 << 20)
            if not some:
                raise BrowserError("Chromium ended")
            self._buffer += some
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        return message

    def _tell(self, message: dict[str, Any]) -> None:
        page = self.pages.get(message.get("sessionId", ""))
        if page is not None:
            page.take(message["method"], message["params"])


class Page:
    """A page of the browser.

    Attributes:
        messages: what it wrote to the console, exceptions and refusals included.
        requests: addresses that it asked for, but for its own file and what it has in memory.
    """

    def __init__(self, browser: Browser, session: str, target: str) -> None:
        self._browser, self._session, self._target = browser, session, target
        self.messages: list[str] = []
        self.requests: list[str] = []

    def command(self, method: str, parameters: dict[str, Any] | None = None) -> Any:
        """Send a command."""
        return self._browser.command(method, parameters, self._session)

    def take(self, method: str, parameters: dict[str, Any]) -> None:
        """Note what happened."""
        if method == "Runtime.consoleAPICalled":
            self.messages.append(str([one.get("value", one.get("description")) for one in parameters["args"]]))
        elif method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.messages.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Log.entryAdded":
            self.messages.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if parameters["type"] != "Document" and not url.startswith(("blob:", "data:")):
                self.requests.append(url)

    def resize(self, width: int, height: int) -> None:
        """Another size of the window."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", size)

    def evaluate(self, script: str) -> Any:
        """The value of an expression, awaited if it is a promise."""
        options = {"expression": script, "returnByValue": True, "awaitPromise": True, "userGesture": True}
        found = self.command("Runtime.evaluate", options)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description", details["text"]))
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"never: {condition}; {self.messages}")
            self._browser.listen(0.02)

    def go(self, address: str) -> None:
        """Another view."""
        self.evaluate(f"location.hash = {json.dumps(address)}")
        self.settle()

    def settle(self) -> None:
        """Until what is on the screen is drawn."""
        frames = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 30))))"
        self.evaluate(frames)
        is_drawn = "rect.top < innerHeight && rect.bottom > 0 && rect.width && one.dataset.lazy !== undefined"
        self.wait(
            "[...document.querySelectorAll('canvas')].every((one) => "
            f"{{ const rect = one.getBoundingClientRect(); return !({is_drawn}); }})"
        )
        self.evaluate(frames)

    def press(self, key: str) -> None:
        """Press a key."""
        code = KEYS.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        options = {"key": key, "windowsVirtualKeyCode": code, "text": text}
        self.command("Input.dispatchKeyEvent", {"type": "keyDown", **options})
        self.command("Input.dispatchKeyEvent", {"type": "keyUp", **options})
        self.settle()

    def hover(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
        self.settle()

    def screenshot(self, path: Path, *, is_whole: bool = True) -> Path:
        """A picture of the window, or of the whole page."""
        options: dict[str, Any] = {"format": "png", "captureBeyondViewport": is_whole}
        if is_whole:
            self.evaluate("dispatchEvent(new Event('beforeprint'))")  # draws what is not on the screen
            self.wait("![...document.querySelectorAll('canvas')].some((one) => one.dataset.lazy !== undefined)")
            self.settle()
            size = self.command("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", options)["data"]))
        return path

    def close(self) -> None:
        """Close it."""
        self._browser.command("Target.closeTarget", {"targetId": self._target})
        del self._browser.pages[self._session]


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser that ends with the block."""
    browser = Browser(chromium_or_skip())
    try:
        yield browser
    finally:
        browser.close()


def _pipe() -> tuple[int, int]:
    """Ends for reading and writing, with numbers that are not those that Chromium expects."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
