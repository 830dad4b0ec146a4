"""A headless Chromium, spoken to over its debugging pipe: pages as people see
them, at the size of a screen or of a phone, by day and by night.

Debian's chromium-headless-shell, unpacked if it is not installed. It gets a
profile of its own and is ended with the test.
"""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import debian
import util

_ANSWER_TIME = 60


def _program():
    for name in ("chromium-headless-shell", "chromium"):
        path = shutil.which(name)
        if path is not None:
            return path, None
    tree = debian.unpack("chromium-headless-shell", "chromium-common")
    return (
        tree.path("usr/lib/chromium/chromium-headless-shell"),
        tree.environment(),
    )


class Browser:
    """One browser with one page."""

    def __init__(self):
        path, environment = _program()
        self._profile = tempfile.mkdtemp(prefix="tlspost-e2e-browser-")
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        self._buffer = b""
        self._number = 0
        self._session = None
        self.console = []  # what the page has complained of
        self.requests = []  # the addresses that it has asked for
        # The browser reads its descriptor 3 and writes its descriptor 4.
        script = 'exec "$@" 3<&%d 4>&%d' % (to_read, to_write)
        settings = dict(environment or os.environ)
        settings["HOME"] = self._profile
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                script,
                "browser",
                path,
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
                "--user-data-dir=" + self._profile,
                "about:blank",
            ],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=settings,
        )
        os.close(to_read)
        os.close(to_write)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self):
        target = self._call("Target.createTarget", url="about:blank")
        attached = self._call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(domain + ".enable")

    def _receive(self, deadline):
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._from], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            more = os.read(self._from, 1 << 20)
            if not more:
                raise AssertionError(
                    "the browser has ended: %s"
                    % self._process.stderr.read().decode(errors="replace")
                )
            self._buffer += more
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        """Keeps what a test may want to know of the page."""
        method, what = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded":
            self.console.append(what["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.console.append(
                details.get("exception", {}).get("description", "exception")
            )
        elif method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])

    def _call(self, method, **parameters):
        self._number += 1
        message = {
            "id": self._number,
            "method": method,
            "params": parameters,
        }
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + _ANSWER_TIME
        while True:
            answer = self._receive(deadline)
            if answer.get("id") != self._number:
                self._note(answer)
                continue
            if "error" in answer:
                raise AssertionError("%s: %s" % (method, answer["error"]))
            return answer["result"]

    def look(self, width, height, dark=False, phone=False):
        """From now on through a window of that size."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = "dark" if dark else "light"
        self._call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def open(self, url):
        self._call("Page.navigate", url=url)

    def evaluate(self, expression):
        """What the page's script says to that."""
        result = self._call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        if "exceptionDetails" in result:
            raise AssertionError(
                "%s: %s" % (expression, result["exceptionDetails"])
            )
        return result["result"].get("value")

    def wait_for(self, expression, limit=30):
        """Until that is true in the page."""
        util.wait_until(
            lambda: self.evaluate(expression),
            limit,
            lambda: "%s in\n%s"
            % (expression, self.evaluate("document.body.innerText")),
        )

    def screenshot(self, path):
        """The whole page as a PNG."""
        taken = self._call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True
        )
        with open(path, "wb") as file:
            file.write(base64.b64decode(taken["data"]))

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._process.stderr.close()
        os.close(self._to)
        os.close(self._from)
        shutil.rmtree(self._profile, ignore_errors=True)
