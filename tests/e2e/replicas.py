"""Owns: two fileprocd on one database and one bucket, which know of each other by Redis or by the database alone, and what a test says
that does the same to them and to one with files.
Must not know: what is asked of them."""

import os
import pathlib

import pytest

import cluster
import s3_bucket
from api import wait_until
from daemon_process import Daemon

SLOW = os.environ.get("FILEPROC_SLOW") == "yes"
FILES, POSTGRESQL, ALL = "files", "postgresql and s3", "all servers"
needs_servers = pytest.mark.skipif(not (cluster.POSTGRESQL and cluster.S3), reason="needs PostgreSQL and S3")
needs_all = pytest.mark.skipif(not cluster.available(), reason="no PostgreSQL, Redis, RabbitMQ and S3 server")
MARKS = {FILES: (), POSTGRESQL: needs_servers, ALL: needs_all}


def on(store, *values):
    """A case of a test that has the fixture `store`."""
    return pytest.param(store, *values, marks=MARKS[store], id=", ".join([store, *map(str, values)]))


class Replicas:
    """They run no jobs."""

    def __init__(self, folder, *options, **settings):
        self.database, self.drop = cluster.schema()
        self.bucket = s3_bucket.make("replicas")
        self.env = {**cluster.environment(self.database, self.bucket), "REDIS_URL": "", "RABBITMQ_URL": "", **settings}
        self.daemons = [Daemon(pathlib.Path(folder) / name, *options, "--workers", "0", env=self.env) for name in ("a", "b")]

    def start(self):
        for one in self.daemons:
            one.start(wait=False)
        for one in self.daemons:
            one.wait_ready()
        return self

    def end(self):
        """What is wrong with how they ended; None when nothing is."""
        wrong = [f"{why}\n{one.log_text()[-4000:]}" for one in self.daemons if (why := one.end())]
        self.drop()
        for text in (one.log_text() for one in self.daemons):
            if "s3cret" in text or '"status":500' in text:
                wrong.append(text[-4000:])
        return "\n".join(wrong) or None


class Store:
    """What a loop of kills needs of one: daemons, the events that were told, and what is staged."""

    def __init__(self, kind, folder, *options):
        from broker import Subscriber
        self.kind, self.replicas = kind, None
        servers = {"REDIS_URL": cluster.redis(), "RABBITMQ_URL": cluster.broker()} if kind == ALL else {}
        self.subscriber = Subscriber(servers["RABBITMQ_URL"]) if servers else None
        if kind == FILES:
            self.daemons = [Daemon(folder / "fileprocd", *options, "--workers", "0").start()]
        else:
            self.replicas = Replicas(folder, *options, **servers).start()
            self.daemons = self.replicas.daemons

    def alive(self):
        return [one for one in self.daemons if one.running()]

    def staged(self):
        """Whether bytes lie there that are no object yet. Who dies between beginning an upload at an S3 server and noting it leaves one there
        for an hour, so nobody waits for that here."""
        return not self.replicas and bool(list((self.daemons[0].data / "objects" / "staging").glob("*.data")))

    def check_events(self, key, subjects):
        """Each was told, under one id, and no other."""
        ids = {}

        def all_told():
            for _, told, event in self.subscriber.events():
                if told == key:
                    assert ids.setdefault(event["subject"], event["id"]) == event["id"], "an event changed its id"
            return set(subjects) <= ids.keys()
        if self.subscriber:
            wait_until(all_told, 60, "events are missing")
            assert ids.keys() == set(subjects), "events of what did not happen"

    def end(self):
        return self.replicas.end() if self.replicas else self.daemons[0].end()
