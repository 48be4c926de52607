"""A real Chromium spoken to over its debugging pipe: open a page, set the window, listen to errors and requests, ask the page questions."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)

_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
          "--remote-debugging-pipe")  # fmt: skip


class Browser:
    """One headless Chromium with one page. Use it as a context."""

    def __init__(self, seconds: float = 120.0) -> None:
        assert CHROMIUM
        self._deadline = time.monotonic() + seconds
        self._profile = tempfile.mkdtemp(prefix="vrodent-browser-")
        ours_out, self._out = os.pipe()
        self._in, ours_in = os.pipe()

        def attach() -> None:  # Chromium reads commands from descriptor 3 and writes answers to 4
            read, write = os.dup(ours_out), os.dup(ours_in)
            os.dup2(read, 3)
            os.dup2(write, 4)

        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(command, preexec_fn=attach, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(ours_out)
        os.close(ours_in)
        self._buffer, self._number = b"", 0
        self.events: list[dict[str, Any]] = []
        targets = self._call("Target.getTargets", {})["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self._session = self._call("Target.attachToTarget", {"targetId": page, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command to the page."""
        return self._call(method, parameters, self._session)

    def _call(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            left = self._deadline - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                raise TimeoutError("Chromium did not answer in time.")
            chunk = os.read(self._in, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium went away.")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def window(self, width: int, height: int, *, dark: bool = False) -> None:
        """Size of the window and the reader's choice of light or dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, page: Path, ready: str) -> None:
        """Load a file and wait until the JavaScript expression `ready` is true."""
        self.events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        while True:
            with contextlib.suppress(RuntimeError):  # asked between two documents
                if self.ask(ready):
                    return
            time.sleep(0.2)

    def ask(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page; a promise is awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def errors(self) -> list[str]:
        """What went wrong in the page so far: exceptions, console errors and warnings, log entries."""
        out = []
        for event in self.events:
            method, details = event.get("method"), event.get("params", {})
            if method == "Runtime.exceptionThrown":
                out.append(json.dumps(details["exceptionDetails"]))
            elif (method == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert")) or (
                method == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning")
            ):
                out.append(json.dumps(details))
        return out

    def requests(self) -> list[str]:
        """Addresses that the page asked for, but itself and what it holds."""
        urls = [event["params"]["request"]["url"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "blob:", "file:"))]

    def picture(self, out: Path, *, whole: bool = True) -> None:
        """A screenshot as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        out.write_bytes(base64.b64decode(shot["data"]))

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(Exception):
            self._call("Browser.close", {})
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
