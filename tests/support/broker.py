"""Owns: a RabbitMQ broker of a test's own, that may be stopped and started, and listening to its events.
Must not know: what is tested."""

import json
import os
import pathlib
import shutil
import subprocess

SCRIPT = pathlib.Path(__file__).parent / "servers" / "rabbitmq"


def installed():
    return shutil.which("rabbitmq-server", path="/usr/lib/rabbitmq/bin:" + os.environ.get("PATH", "")) is not None


class Broker:
    """Keeps its port and its messages from one start to the next."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.uri = None

    def start(self):
        done = subprocess.run([SCRIPT, "start", self.folder], check=True, stdout=subprocess.PIPE, text=True, timeout=120)
        lines = dict(line.split("=", 1) for line in done.stdout.splitlines())
        self.uri = lines["FILEPROC_TEST_RABBITMQ_URI"]
        return self

    def stop(self, in_order=False):
        subprocess.run([SCRIPT, "stop", self.folder], check=True, timeout=120,
                       env={**os.environ, "SIGNAL": "TERM" if in_order else "KILL"})


class Subscriber:
    """A durable queue of its own, bound to the exchange of events. uri: as a daemon gets it, perhaps with ?prefix=... of all names."""

    def __init__(self, uri, pattern="#"):
        import pika

        uri, _, query = uri.partition("?")
        prefix = query.removeprefix("prefix=") or "fileproc."
        self.parameters, self.queue = pika.URLParameters(uri), prefix + "subscriber"
        with pika.BlockingConnection(self.parameters) as connection:
            channel = connection.channel()
            channel.exchange_declare(prefix + "events", exchange_type="topic", durable=True)
            channel.queue_declare(self.queue, durable=True)
            channel.queue_bind(self.queue, prefix + "events", pattern)

    def events(self):
        """All that wait: (properties, routing key, body as JSON), taken out."""
        import pika

        found = []
        with pika.BlockingConnection(self.parameters) as connection:
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(self.queue, auto_ack=True)
                if method is None:
                    return found
                found.append((properties, method.routing_key, json.loads(body)))
