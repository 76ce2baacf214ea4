"""Owns: a headless Chromium and the pages it shows: started, told what to run, and ended.
Must not know: what the pages do."""

import functools
import http.server
import json
import os
import pathlib
import select
import shutil
import subprocess
import threading
import time

PROGRAM = shutil.which("chromium")
# As root it has no sandbox; /dev/shm may be small; nothing is asked for on the network that a page does not ask for.
OPTIONS = ("--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server", "--mute-audio")


class Pages:
    """Files of a folder under an origin of their own."""

    def __init__(self, folder):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """One page of it; spoken to over a pipe, in Chromium's own protocol."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.log = self.folder / "log"
        self.folder.mkdir(parents=True, exist_ok=True)
        theirs, self.sink = os.pipe()
        self.source, answers = os.pipe()
        # It reads from descriptor 3 and writes to 4; the shell sees to the numbers.
        shell = f"exec 3<&{theirs} 4>&{answers}; exec \"$0\" \"$@\""
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["bash", "-c", shell, PROGRAM, *OPTIONS, f"--user-data-dir={self.folder}/profile"],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(theirs, answers),
                                            env={**os.environ, "HOME": str(self.folder)})
        os.close(theirs)
        os.close(answers)
        self.buffer, self.last, self.session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.source], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            data = os.read(self.source, 1 << 20)
            assert data, f"the browser has ended: {self.log.read_text(errors='replace')[-2000:]}"
            self.buffer += data
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, seconds=60, **parameters):
        self.last += 1
        message = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.sink, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while (answer := self.receive(deadline)).get("id") != self.last:
            pass
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def show(self, url):
        done = self.call("Page.navigate", url=url)
        assert not done.get("errorText"), done
        deadline = time.monotonic() + 30
        while self.run("document.readyState + location.href") != "complete" + url:
            assert time.monotonic() < deadline, "the page does not get ready"
            time.sleep(0.02)

    def run(self, script, seconds=60):
        """The value of an expression, awaited when it is a promise."""
        done = self.call("Runtime.evaluate", seconds, expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def end(self):
        os.close(self.sink)  # which is how it is told to go
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        os.close(self.source)
