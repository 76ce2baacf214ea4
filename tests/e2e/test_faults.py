"""Owns: the proof that the five daemons survive what happens to their servers: under load each is taken away and brought back, loses
what it knew, or is reached badly. Every completed file is there once, every job has one result, every event came under one id.
Must not know: how the daemons keep their data."""

import hashlib
import os
import re
import threading
import time

import pytest

import test_kill_services
from api import ask, check_problem, get, initiate, try_chunk, try_initiate, upload, wait_for_job, wait_until
from faulty_cluster import SERVERS, FaultyCluster, available

SLOW = os.environ.get("FILEPROC_SLOW") == "yes"
AWAY_SECONDS = 20 if SLOW else 2
BAD_SECONDS = 4 if SLOW else 0.3  # of each way to reach a server badly
LONGEST = 12  # seconds that an answer may take, good or bad, while a server is away
pytestmark = pytest.mark.skipif(not available(), reason="no PostgreSQL, Redis, RabbitMQ and S3 server")


class Client(test_kill_services.Client):
    """Also knows how long it had to wait for an answer, and what it was told instead of one."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.longest, self.refused = (0, ""), 0

    def once(self, method, path, **arguments):
        began = time.monotonic()
        try:
            return super().once(method, path, **arguments)
        finally:
            self.longest = max(self.longest, (time.monotonic() - began, f"{method} {path}"))

    def one_file(self):
        super().one_file()
        time.sleep(0.03)  # what is uploaded is all looked at afterwards

    def again(self, reply):
        if reply.status_code == 503:
            check_problem(reply, 503)  # with Retry-After
            self.refused += 1
        return super().again(reply)


class World:
    """The daemons, and all that was ever completed there."""

    def __init__(self):
        self.daemons = FaultyCluster()
        try:
            self.daemons.start()
            from broker import Subscriber
            self.subscriber = Subscriber(self.daemons.servers["rabbitmq"].uri)
        except BaseException:
            self.daemons.end()
            raise
        self.completed, self.seen, self.seeds = {}, {}, iter(range(1000))

    def load(self, trouble, at_least=3):
        """Clients upload before, during and after the trouble; answers them when they have stopped."""
        stop, uploads = threading.Event(), self.daemons.every("upload")
        clients = [Client(uploads, next(self.seeds), stop) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            self.progress(clients, at_least)
            trouble()
            self.progress(clients, at_least)
        finally:
            stop.set()
            for client in clients:
                client.join(120)
                self.completed.update(client.completed)
        assert not [client.failure for client in clients if client.failure]
        return clients

    def progress(self, clients, count):
        """Each goes on by so many files."""
        wanted = {client: len(client.completed) + count for client in clients}
        wait_until(lambda: all(client.failure or len(client.completed) >= wanted[client] for client in clients), 60, "nobody gets on")
        assert not [client.failure for client in clients if client.failure]

    def check(self):
        for one in self.daemons.all:
            wait_until(lambda one=one: ask(one, "GET", "/readyz").status_code == 200, 60, f"{one.program.name} does not recover")
        jobs = test_kill_services.check_jobs(self.daemons, self.completed)
        test_kill_services.check_files(self.daemons, self.completed)
        test_kill_services.check_events(self.subscriber, self.completed, jobs, self.seen)


@pytest.fixture(scope="module")
def world():
    own = World()
    yield own
    wrong = own.daemons.end()
    assert wrong is None, wrong


def check_times(clients, seconds=LONGEST):
    assert max(client.longest for client in clients) < (seconds,), [client.longest for client in clients]


def frozen_at_work(world, worker):
    """Stops the worker in the middle of a job, and answers the job: the one that goes on running while the others take new ones."""
    jobs = lambda: {job["id"]: job["attempt"] for job in get(world.daemons["processing"], "/v1/jobs", params={"state": "running"})["items"]}
    for _ in range(50):
        world.daemons.freeze([worker])
        before = jobs()
        time.sleep(0.7)
        after = jobs()
        stuck = [job_id for job_id, attempts in before.items() if after.get(job_id) == attempts]
        if stuck:
            return stuck[0]
        world.daemons.thaw([worker])
        time.sleep(0.05)
    raise AssertionError("it is never at work")


def test_three_workers_and_five_relays_make_one_result_and_one_event_each(world):
    """One worker is stopped at a job for longer than its lease, and goes on with it when another has long ended it."""
    workers, late = world.daemons.every("processing"), []

    def trouble():
        job_id = frozen_at_work(world, workers[-1])
        try:
            late.append(wait_for_job(world.daemons["processing"], job_id, 30))
        finally:
            world.daemons.thaw(workers[-1:])
    world.load(trouble)
    world.check()
    assert late[0]["state"] == "succeeded" and late[0]["attempt"] > 1
    assert get(world.daemons["processing"], f"/v1/jobs/{late[0]['id']}") == late[0], "who was too late has changed the result"
    for one in workers:
        text = ask(one, "GET", "/metrics").text
        assert int(re.search(r'fileproc_jobs_finished_total{state="succeeded"} (\d+)', text).group(1)) > 0, "one had nothing to do"


class Probes:
    """What needs each server, asked of who is connected to it directly."""

    def __init__(self, world):
        self.daemons, self.data = world.daemons, b"x" * 100
        self.upload_id = initiate(self.daemons["upload"], len(self.data))["upload_id"]
        done = upload(self.daemons["upload"], self.data)
        self.file_id = done["file_id"]
        world.completed[self.file_id] = (hashlib.sha256(self.data).hexdigest(), "text/plain", done["processing_job_id"])

    def chunk(self):
        return try_chunk(self.daemons["upload"], self.upload_id, 0, self.data)

    def begin(self):
        return try_initiate(self.daemons["upload"])

    def get(self, service, path):
        return lambda: ask(self.daemons[service], "GET", path)

    def of(self, name):
        content = self.get("metadata", f"/v1/files/{self.file_id}/content")
        return {"postgresql": [self.begin, self.get("metadata", "/v1/files"), self.get("processing", "/v1/jobs")],
                "redis": [self.chunk], "rabbitmq": [],
                "s3": [self.chunk, content, self.get("storage", "/v1/objects"), self.get("storage", f"/v1/objects/files/{self.file_id}")]}[name]

    def refused(self, name, seconds):
        """All that needs the server says soon that it can't be done now, and when to come back; whoever is alive says so."""
        for probe in self.of(name):
            reply = probe()
            check_problem(reply, 503)
            assert reply.elapsed.total_seconds() < seconds, (reply.url, reply.elapsed)
        for one in self.daemons.all:
            assert ask(one, "GET", "/livez").status_code == 200

    def answered(self):
        for name in SERVERS:
            for probe in self.of(name):
                assert probe().ok


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_goes_away_and_comes_back(world, name):
    probes = Probes(world)

    def trouble():
        world.daemons.take_away(name)
        try:
            back_at = time.monotonic() + AWAY_SECONDS
            probes.refused(name, LONGEST)
            probes.refused(name, 2)
            time.sleep(max(back_at - time.monotonic(), 0))
            probes.refused(name, 2)
        finally:
            world.daemons.bring_back(name)
    clients = world.load(trouble)
    world.check()
    probes.answered()
    check_times(clients)


def test_the_broker_loses_all_messages(world):
    """While nobody takes them: the doorbells of all jobs are gone, and nobody rings again but the rescuer."""
    import pika

    workers, queue = world.daemons.every("processing"), "fileproc.topic.fileproc.jobs"

    def trouble():
        with pika.BlockingConnection(world.subscriber.parameters) as connection:
            channel = connection.channel()
            world.daemons.freeze(workers)
            try:
                wait_until(lambda: channel.queue_declare(queue, passive=True).method.message_count > 0, 20)
                assert channel.queue_delete(queue).method.message_count > 0
            finally:
                world.daemons.thaw(workers)
    world.load(trouble)
    world.check()


def test_redis_loses_all_it_knew(world):
    def trouble():
        for _ in range(10):
            world.daemons.servers["redis"].flush()
            time.sleep(0.1)
    clients = world.load(trouble)
    world.check()
    check_times(clients)


CUTS = ("cut up 700", "cut down 900")
WAYS = ("cut up 20000", "cut down 9000", "slow 60000", "stall", "refuse")


@pytest.mark.parametrize("name", SERVERS)
def test_connections_are_cut_and_slow(world, name):
    proxy = world.daemons.proxies[name]

    def trouble():
        try:
            for way in CUTS:
                before = proxy.set(way)
                time.sleep(BAD_SECONDS)
                wait_until(lambda before=before: proxy.set("count") > before, 20, f"no connection comes far enough for: {way}")
            for way in WAYS:
                proxy.set(way)
                time.sleep(BAD_SECONDS)
        finally:
            proxy.set("pass")
    clients = world.load(trouble)
    world.check()
    check_times(clients)


# A statement under way has the time that a statement has; what goes to the S3 server is tried again.
SILENCE_COSTS = dict(zip(SERVERS, (36, 3, 12, 27)))


@pytest.mark.skipif(not SLOW, reason="takes minutes")
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_falls_silent(world, name):
    """As one whose process is stopped, or whose network swallows everything: connections stay, and nothing comes."""
    proxy = world.daemons.proxies[name]

    def trouble():
        proxy.set("stall")
        time.sleep(AWAY_SECONDS)
        proxy.set("pass")
    clients = world.load(trouble)
    world.check()
    check_times(clients, SILENCE_COSTS[name])
