"""Owns: that web pages in a real browser can do what the documents promise: Uppy over tus and straight to an S3 server, with a network
that breaks, and the snippets that watch an upload.
Must not know: the protocols."""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import time

import pytest
import requests

import s3_bucket
from api import ask, content, initiate, send_chunk, complete, status, wait_until
from browser import PROGRAM, Browser, Pages
from cluster import Proxy
from daemon_process import Daemon

TOP = pathlib.Path(__file__).parents[2]
MODULES = TOP / "build" / "node" / "node_modules"
S3 = os.environ.get("FILEPROC_TEST_S3_ENDPOINT")
MIB = 1 << 20

pytestmark = pytest.mark.skipif(not PROGRAM or not (MODULES / "esbuild").exists(), reason="no Chromium, or no Uppy")
needs_s3 = pytest.mark.skipif(not S3, reason="no S3 server")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run([MODULES / ".bin" / "esbuild", TOP / "tests" / "e2e" / "node" / "uppy_page.js", "--bundle", "--format=iife",
                    f"--outfile={folder}/uppy.js", "--log-level=warning"], check=True, timeout=60,
                   env={**os.environ, "NODE_PATH": str(MODULES)})
    (folder / "uppy.html").write_text('<!doctype html><meta charset="utf-8"><title>Uppy</title><script src="uppy.js"></script>')
    own = Pages(folder)
    yield own
    own.end()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    own = Browser(tmp_path_factory.mktemp("browser"))
    yield own
    own.end()


@pytest.fixture
def page(browser, pages):
    browser.show(pages.origin + "/uppy.html")
    return browser


@pytest.fixture(scope="module")
def tus_daemon(tmp_path_factory, pages):
    own = Daemon(tmp_path_factory.mktemp("tus"), "--cors-origins", pages.origin).start()
    yield own
    assert own.end() is None, own.log_text()[-4000:]


class Network:
    """Between the browser and a server: breaks in the middle of a transfer, is away for a moment, and comes back."""

    def __init__(self, target):
        self.proxy = Proxy(target)
        self.url = f"http://{self.proxy.address}"

    def cut_at(self, bytes_up):
        self.proxy.set(f"cut up {bytes_up}")

    def stay_away(self, seconds=0.3):
        wait_until(lambda: self.proxy.set("count") > 0, what="nothing was cut")
        self.proxy.set("refuse")
        time.sleep(seconds)
        self.proxy.set("pass")


@pytest.fixture
def network(request):
    made = []

    def make(target):
        made.append(Network(target))
        return made[-1]

    yield make
    for one in made:
        one.proxy.end()


def begin(page, expression):
    """Does not wait for the promise; result() does."""
    page.run(f"window.done = {expression}; undefined")


def result(page):
    done = page.run("window.done")
    assert done["error"] is None, done
    return done


def check_file(daemon, file_id, done, size):
    data = content(daemon, file_id)
    assert len(data) == size and hashlib.sha256(data).hexdigest() == done["sha256"]


def file_of(name, size, **more):
    return json.dumps({"name": name, "size": size, "type": "application/zip", **more})


def test_uppy_over_tus_survives_a_network_cut(page, tus_daemon, network):
    between, size = network(f"127.0.0.1:{tus_daemon.port}"), 6 * MIB
    between.cut_at(2 * MIB)
    begin(page, f"sendOverTus('{between.url}/v1/tus', {file_of('ä name.zip', size)})")
    between.stay_away()
    done = result(page)
    assert done["requests"][:2] == ["POST", "PATCH"] and "HEAD" in done["requests"] and done["requests"][-1] == "PATCH", done
    state = status(tus_daemon, done["uploadURL"].rpartition("/")[2])
    assert state["status"] == "completed" and state["filename"] == "ä name.zip"
    check_file(tus_daemon, state["file_id"], done, size)


def test_uppy_over_tus_sends_an_empty_file(page, tus_daemon):
    begin(page, f"sendOverTus('{tus_daemon.url}/v1/tus', {file_of('empty.zip', 0)})")
    state = status(tus_daemon, result(page)["uploadURL"].rpartition("/")[2])
    assert state["status"] == "completed" and state["size"] == 0


# ---- straight to the S3 server ----

def bucket_for(origin):
    """With the rules of docs/uploads.md for the page's origin."""
    rules = re.search(r"<CORSConfiguration>.*?</CORSConfiguration>", (TOP / "docs" / "uploads.md").read_text(), re.S).group(0)
    bucket = s3_bucket.make("browser")
    s3_bucket.send("PUT", bucket, "cors", rules.replace("https://app.example.com", origin).encode())
    return bucket


@pytest.fixture
def direct(tmp_path, pages, network):
    """A daemon whose S3 server the browser reaches over a network that can break."""
    between = network(S3)
    env = {"MINIO_ENDPOINT": between.proxy.address, "MINIO_BUCKET": bucket_for(pages.origin),
           "MINIO_ACCESS_KEY": os.environ["FILEPROC_TEST_S3_ACCESS_KEY"], "MINIO_SECRET_KEY": os.environ["FILEPROC_TEST_S3_SECRET_KEY"]}
    own = Daemon(tmp_path / "fileprocd", "--cors-origins", pages.origin, env=env).start()
    own.network = between
    yield own
    assert own.end() is None, own.log_text()[-4000:]
    assert '"status":500' not in own.log_text()


def sent_file(daemon, done, size):
    [file_id] = re.fullmatch(re.escape(daemon.url) + r"/v1/files/([0-9a-f-]+)/content", done["uploadURL"]).groups()
    check_file(daemon, file_id, done, size)
    return ask(daemon, "GET", f"/v1/files/{file_id}").json()


def s3_requests(page, pattern):
    names = page.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    return [name for name in names if re.search(pattern, name)]


@needs_s3
def test_uppy_sends_parts_straight_to_the_s3_server(page, direct):
    size = 11 * MIB
    page.run("performance.setResourceTimingBufferSize(1000)")
    begin(page, f"sendToS3('{direct.url}', {file_of('file.zip', size, meta={'user_id': 'somebody'})}, 'pause')")
    file = sent_file(direct, result(page), size)
    assert file["filename"] == "file.zip" and file["owner"] == "somebody" and file["mime_type"] == "application/zip"
    assert len(s3_requests(page, re.escape(direct.network.proxy.address) + ".*partNumber=")) >= 3, "past the daemon"
    assert s3_requests(page, r"/s3/multipart/[0-9a-f-]+\?key="), "it went on with what was there"


@needs_s3
@pytest.mark.parametrize("size", [0, 1, 7 * MIB])
def test_uppy_sends_small_files_in_one_request(page, direct, network, size):
    """As it does unless told otherwise; the largest one over a network that breaks."""
    between = network(f"127.0.0.1:{direct.port}")
    if size > MIB:
        between.cut_at(3 * MIB)
    begin(page, f"sendToS3('{between.url}', {file_of('file.zip', size)}, null, {{ shouldUseMultipart: false }})")
    if size > MIB:
        between.stay_away()
    done = result(page)
    reply = requests.get(done["uploadURL"], timeout=60)
    assert reply.status_code == 200 and hashlib.sha256(reply.content).hexdigest() == done["sha256"], done
    assert reply.url.endswith("/content") and len(reply.content) == size


@needs_s3
def test_uppy_sends_on_after_a_network_cut(page, direct):
    size = 7 * MIB
    direct.network.cut_at(3 * MIB)
    begin(page, f"sendToS3('{direct.url}', {file_of('file.zip', size)})")
    direct.network.stay_away()
    sent_file(direct, result(page), size)


@needs_s3
@pytest.mark.parametrize("size, options", [(11 * MIB, "{ shouldUseMultipart: true }"), (7 * MIB, "{}"), (0, "{}")])
def test_older_releases_of_uppy_work_too(page, direct, size, options):
    """@uppy/aws-s3-multipart, which sends parts side by side."""
    begin(page, f"sendToS3AsBefore('{direct.url}', {file_of('file.zip', size)}, {options})")
    sent_file(direct, result(page), size)


@needs_s3
def test_a_file_that_is_taken_back_is_cancelled(page, direct):
    begin(page, f"sendToS3('{direct.url}', {file_of('file.zip', 11 * MIB)}, 'remove')")
    page.run("window.done.catch(() => null)")
    [url] = wait_until(lambda: s3_requests(page, r"/s3/multipart/[0-9a-f-]+/1\?")[:1])
    upload_id = url.split("/s3/multipart/")[1].split("/")[0]
    wait_until(lambda: status(direct, upload_id)["status"] == "cancelled")


# ---- watching ----

def snippets():
    section = re.search(r"## Watching\n(.*)", (TOP / "docs" / "uploads.md").read_text(), re.S).group(1)
    found = re.findall(r"```js\n(.*?)```", section, re.S)
    assert len(found) == 2 and "WebSocket" in found[0] and "EventSource" in found[1]
    return found


@pytest.mark.parametrize("which", [0, 1], ids=["WebSocket", "EventSource"])
def test_the_snippets_of_the_documents_watch(browser, server, which):
    size = initiate(server, 1)["chunk_size"]
    upload_id = initiate(server, 2 * size)["upload_id"]
    browser.show(server.url + "/livez")
    browser.run("window.shown = []; window.show = state => shown.push(state); window.id = " + json.dumps(upload_id))
    browser.run("(() => {" + snippets()[which] + "})()")
    shown = lambda: browser.run("shown")  # noqa: E731
    assert wait_until(shown)[0]["status"] == "initiated"
    for index in range(2):
        send_chunk(server, upload_id, index, b"x" * size)
        wait_until(lambda: shown()[-1]["chunks_uploaded"] == index + 1)
    done = complete(server, upload_id)
    wait_until(lambda: [state for state in shown() if state.get("status") == "completed"])
    if which == 1:
        assert [state for state in shown() if state.get("file_id") == done["file_id"]]
