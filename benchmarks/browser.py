"""Drive Chromium without a window."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
)


def find_chromium() -> str | None:
    """Return the path of an installed Chromium or Chrome."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def screenshot(
    chromium: str, page: str, out: Path, *, width: int, height: int, dark: bool = False
) -> None:
    """Write a PNG of the top ``height`` pixels of a page."""
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    _run(
        chromium,
        *scheme,
        f"--window-size={width},{height}",
        "--virtual-time-budget=20000",
        f"--screenshot={out}",
        page,
    )


class Page:
    """One tab, driven by Chromium's DevTools protocol over a pipe."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._received = b""
        self._last_id = 0
        self._session: str | None = None
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._send("Page.enable")

    def open(self, address: str) -> None:
        """Go to an address and return once its document is parsed."""
        self._send("Page.navigate", url=address)
        self.wait_for("document.readyState != 'loading'")

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        """Give the page another viewport, in CSS pixels."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )

    def prefer(self, scheme: Literal["light", "dark"]) -> None:
        """Let the page see that its reader prefers light or dark colours."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._send("Emulation.setEmulatedMedia", features=features)

    def press(self, key: str) -> None:
        """Press and release a key, by the name that JavaScript gives it."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38}
        codes |= {"ArrowRight": 39, "ArrowDown": 40, "End": 35, "Home": 36}
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = codes.get(key) or ord(key.upper())
        named = {"key": key, "windowsVirtualKeyCode": code, "code": key if key in codes else ""}
        self._send("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self._send("Input.dispatchKeyEvent", type="keyUp", **named)

    def run(self, script: str) -> Any:
        """Return the value of an expression, awaited if it is a promise."""
        reply = self._send(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
            userGesture=True,
        )
        if "exceptionDetails" in reply:
            raise AssertionError(f"{script}: {reply['exceptionDetails']}")
        return reply["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 60) -> Any:
        """Wait until an expression is neither null nor false; return its value."""
        deadline = time.monotonic() + seconds
        while (value := self.run(condition)) in (None, False):
            if time.monotonic() > deadline:
                raise AssertionError(f"after {seconds} s still not: {condition}\n{self.text()}")
            time.sleep(0.1)
        return value

    def text(self) -> str:
        """Return the visible text."""
        return str(self.run("document.body.innerText"))

    def click(self, words: str, selector: str = "button, a, label", nth: int = 0) -> None:
        """Click the middle of the visible, enabled element with exactly this text."""
        find = f"""
            (() => {{
              const hit = [...document.querySelectorAll({json.dumps(selector)})].filter(
                (node) => node.innerText?.trim() === {json.dumps(words)}
                  && node.offsetParent && !node.disabled)[{nth}];
              if (!hit) return null;
              hit.scrollIntoView({{ block: "center", behavior: "instant" }});
              const box = hit.getBoundingClientRect();
              return [box.left + box.width / 2, box.top + box.height / 2];
            }})()"""
        place = None
        # The element moves while the page scrolls or grows: wait until it stays.
        while (position := self.wait_for(find)) != place:
            place = position
            time.sleep(0.2)
        x, y = position
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, out: Path) -> None:
        """Write a PNG of the viewport."""
        out.write_bytes(base64.b64decode(self._send("Page.captureScreenshot")["data"]))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._received:
            more = os.read(self._answers, 1 << 20)
            if not more:
                raise AssertionError("the browser has ended")
            self._received += more
        message, _, self._received = self._received.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


_PIPED = """
import os, sys
from fcntl import F_DUPFD, fcntl
commands, answers = (fcntl(int(number), F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(commands, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Replaces itself by a browser that reads commands from descriptor 3 and answers to 4."""


@contextmanager
def open_page(chromium: str, *, width: int = 1440, height: int = 900) -> Iterator[Page]:
    """Start a browser and yield a tab of it."""
    command_read, command_write = os.pipe()
    answer_read, answer_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                *(sys.executable, "-c", _PIPED, str(command_read), str(answer_write)),
                chromium,
                *FLAGS,
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
            ],
            pass_fds=(command_read, answer_write),
            stderr=subprocess.DEVNULL,
        )
        os.close(command_read)
        os.close(answer_write)
        try:
            yield Page(command_write, answer_read)
        finally:
            os.close(command_write)
            os.close(answer_read)
            browser.terminate()
            browser.wait(timeout=30)


def _run(chromium: str, *arguments: str) -> str:
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [chromium, *FLAGS, f"--user-data-dir={profile}", *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
