"""Drives a headless Chromium over its debugging pipe; standard library only. Nothing but loopback and files can be reached from
the browser: other names do not resolve, and every request is written down."""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find():
    """Path of the browser, or None."""
    return os.environ.get("VT_CHROMIUM") or next((path for path in map(shutil.which, NAMES) if path), None)


class Failed(Exception):
    pass


class Browser:
    def __init__(self, seconds=240):
        self.end = time.monotonic() + seconds
        self.profile = tempfile.mkdtemp(prefix="viztracer-browser-")
        self.requests, self.errors, self.dialogs, self.loaded = [], [], [], set()
        self.number, self.answers, self.rest = 0, {}, b""
        theirs_in, self.to = os.pipe()
        self.come, theirs_out = os.pipe()

        def wire():  # in the child: the browser wants descriptors 3 and 4
            low, high = os.dup(theirs_in), os.dup(theirs_out)
            low, high = os.dup2(low, 30), os.dup2(high, 31)
            os.dup2(low, 3)
            os.dup2(high, 4)

        args = [find(), "--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + self.profile, "--no-first-run",
                "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--window-size=1280,800", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
        if os.geteuid() == 0:
            args.append("--no-sandbox")
        self.process = subprocess.Popen(args + ["about:blank"], preexec_fn=wire, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        page = next(t for t in self.call("Target.getTargets", session=None)["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", session=None, targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.come)
        shutil.rmtree(self.profile, ignore_errors=True)

    # ---- the pipe ----
    def read(self):
        left = self.end - time.monotonic()
        if left <= 0 or not select.select([self.come], [], [], left)[0]:
            raise Failed("the browser took too long")
        data = os.read(self.come, 1 << 20)
        if not data:
            raise Failed("the browser has ended (exit %s)" % self.process.poll())
        *messages, self.rest = (self.rest + data).split(b"\0")
        for message in messages:
            self.take(json.loads(message))

    def take(self, message):
        if "id" in message:
            self.answers[message["id"]] = message
            return
        what, params = message["method"], message["params"]
        if what == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif what == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif what == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif what == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
            self.send("Page.handleJavaScriptDialog", self.session, accept=True)
        elif what == "Page.loadEventFired":
            self.loaded.add(message.get("sessionId"))

    def send(self, method, session, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        return self.number

    def call(self, method, session="", **params):
        number = self.send(method, self.session if session == "" else session, **params)
        while number not in self.answers:
            self.read()
        answer = self.answers.pop(number)
        if "error" in answer:
            raise Failed("%s: %s" % (method, answer["error"]["message"]))
        return answer["result"]

    # ---- what tests do ----
    def open(self, url):
        self.loaded.clear()
        result = self.call("Page.navigate", url=url)
        if result.get("errorText"):
            raise Failed("%s: %s" % (url, result["errorText"]))
        while self.session not in self.loaded:
            self.read()

    def evaluate(self, script):
        """Value of a JavaScript expression; promises are waited for."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise Failed(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def wait(self, script, seconds=90):
        """Until the expression is true; returns its value."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            value = self.evaluate(script)
            if value:
                return value
            time.sleep(0.1)
        raise Failed("did not become true in %d s: %s" % (seconds, script))

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def click(self, x, y, count=1):
        self.mouse("mouseMoved", x, y)
        for n in range(1, count + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.mouse(kind, x, y, button="left", clickCount=n)

    def drag(self, x, y, to_x, to_y):
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        for part in (1, 2, 3, 4):
            self.mouse("mouseMoved", x + (to_x - x) * part / 4, y + (to_y - y) * part / 4, button="left", buttons=1)
        self.mouse("mouseReleased", to_x, to_y, button="left", clickCount=1)

    def wheel(self, x, y, delta):
        self.mouse("mouseWheel", x, y, deltaX=0, deltaY=delta)

    def key(self, key, text=None):
        more = {"text": text or key} if len(key) == 1 else {}
        if key == "Enter":
            more = {"text": "\r"}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def size(self, width, height, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def screenshot(self, path):
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        with open(path, "wb") as f:
            f.write(data)
        return data
