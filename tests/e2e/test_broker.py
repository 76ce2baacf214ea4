"""Owns: fileprocd with a broker: events of what happens, and what becomes of jobs and events while the broker is away.
Must not know: how the broker is spoken to."""

import os
import pathlib
import sys
import threading
import time
import uuid

import pytest

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))

from api import RFC3339, ask, get, upload, wait_for_job, wait_until  # noqa: E402
from broker import Broker, Subscriber, installed  # noqa: E402
from daemon_process import Daemon  # noqa: E402

pytestmark = pytest.mark.skipif(not installed(), reason="no RabbitMQ is installed")
AWAY_SECONDS = 20 if os.environ.get("FILEPROC_SLOW") == "yes" else 4


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    own = Broker(tmp_path_factory.mktemp("broker")).start()
    yield own
    own.stop()


@pytest.fixture
def uri(broker):
    """The broker under names that no other test has there."""
    return f"{broker.uri}?prefix={uuid.uuid4().hex[:12]}."


@pytest.fixture
def daemon(tmp_path, uri):
    own = Daemon(tmp_path / "fileprocd", env={"RABBITMQ_URL": uri}).start()
    yield own
    assert own.end() is None, own.log_text()[-4000:]


def check_event(properties, key, event):
    assert event["specversion"] == "1.0" and event["source"] == "/fileproc"
    assert event["type"] == key and event["id"] == properties.message_id
    assert RFC3339.fullmatch(event["time"]) and event["datacontenttype"] == "application/json"
    assert properties.content_type == "application/cloudevents+json" and properties.delivery_mode == 2


def test_events_tell_what_happened_in_order(uri, daemon):
    subscriber, found = Subscriber(uri), []
    done = upload(daemon, b"some text\n")
    wait_for_job(daemon, done["processing_job_id"])
    assert ask(daemon, "DELETE", f"/v1/files/{done['file_id']}").status_code == 204

    def told():
        found.extend(subscriber.events())
        return len(found) >= 3
    wait_until(told, 20, "the events do not come")
    for one in found:
        check_event(*one)
    assert [key for _, key, _ in found] == ["fileproc.file.created", "fileproc.job.finished", "fileproc.file.deleted"]
    assert [event["subject"] for _, _, event in found] == [done["file_id"], done["processing_job_id"], done["file_id"]]
    assert found[1][2]["data"]["state"] == "succeeded"


def test_health_names_the_broker_and_hides_its_password(broker, daemon):
    assert get(daemon, "/health")["dependencies"]["rabbitmq"] == "connected"
    metrics = ask(daemon, "GET", "/metrics").text
    assert "fileproc_broker_connected 1" in metrics
    assert "s3cret" not in daemon.log_text() and "s3cret" not in metrics


def test_a_wrong_password_stops_the_start_with_one_line(tmp_path, broker):
    wrong = broker.uri.replace("s3cret", "w0rdz")
    daemon = Daemon(tmp_path / "other", env={"RABBITMQ_URL": wrong})
    daemon.start(wait=False)
    assert daemon.process.wait(30) != 0
    text = daemon.log_text()
    assert "ACCESS_REFUSED" in text and "w0rdz" not in text and len(text.splitlines()) == 1


class Load:
    """Uploads one small file after the other."""

    def __init__(self, daemon):
        self.daemon, self.done, self.stopping = daemon, [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping:
            self.done.append(upload(self.daemon, b"text %d\n" % len(self.done)))
            time.sleep(0.02)

    def stop(self):
        self.stopping = True
        self.thread.join(60)


@pytest.mark.parametrize("in_order", [False, True], ids=["killed", "stopped"])
def test_nothing_is_lost_while_the_broker_is_away(broker, uri, daemon, in_order):
    subscriber, load, ids = Subscriber(uri), Load(daemon), {}
    time.sleep(2)  # a queue made just before a crash may be lost to the broker (docs/internals/queue-amqp.md)
    broker.stop(in_order)
    wait_until(lambda: ask(daemon, "GET", "/readyz").status_code == 503, 10, "readiness does not turn red")
    away = len(load.done)
    time.sleep(AWAY_SECONDS)
    assert len(load.done) > away, "uploads need no broker"
    wait_for_job(daemon, load.done[away]["processing_job_id"])
    broker.start()
    wait_until(lambda: ask(daemon, "GET", "/readyz").status_code == 200, 30, "readiness does not come back")
    time.sleep(1)
    load.stop()
    for one in load.done:
        assert wait_for_job(daemon, one["processing_job_id"])["state"] == "succeeded"
    wanted = {("fileproc.file.created", one["file_id"]) for one in load.done}
    wanted |= {("fileproc.job.finished", one["processing_job_id"]) for one in load.done}

    def all_told():
        for properties, key, event in subscriber.events():
            check_event(properties, key, event)
            assert ids.setdefault((key, event["subject"]), event["id"]) == event["id"], "an event changed its id"
        return wanted <= ids.keys()
    wait_until(all_told, 30, "events are missing")
    assert ids.keys() == wanted
