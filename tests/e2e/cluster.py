"""Owns: the five daemons over real servers: a database, a bucket, and names at the others of their own.
Must not know: what is asked of them."""

import os
import pathlib
import subprocess
import sys
import uuid

import s3_bucket
from daemon_process import Daemon, free_port

SUPPORT = pathlib.Path(__file__).parents[1] / "support"
sys.path.append(str(SUPPORT))
POSTGRESQL = os.environ.get("FILEPROC_TEST_POSTGRESQL_URI")
REDIS = os.environ.get("FILEPROC_TEST_REDIS_URI")
RABBITMQ = os.environ.get("FILEPROC_TEST_RABBITMQ_URI")
S3 = os.environ.get("FILEPROC_TEST_S3_ENDPOINT")
NAMES = ("upload", "metadata", "ai", "storage", "processing")


def available():
    return bool(POSTGRESQL and REDIS and RABBITMQ and S3)


def sql(text):
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-c", text, POSTGRESQL], check=True, capture_output=True, timeout=60)


def schema():
    """An empty database, and what removes it."""
    name = "e2e_" + uuid.uuid4().hex[:12]
    sql(f"CREATE SCHEMA {name}")
    return f"{POSTGRESQL}?options=-csearch_path%3D{name}", lambda: sql(f"DROP SCHEMA {name} CASCADE")


class Proxy:
    """Between a daemon and a server; what holds can be changed (tests/support/tcp_proxy.py)."""

    def __init__(self, target):
        self.process = subprocess.Popen([sys.executable, SUPPORT / "tcp_proxy.py", target], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def set(self, rule):
        """Answers how many connections have been spoilt so far."""
        self.process.stdin.write(rule + "\n")
        self.process.stdin.flush()
        word, count = self.process.stdout.readline().split()
        assert word == "ok"
        return int(count)

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


def redis():
    """The Redis server of the tests, under names that nobody else has there."""
    return f"{REDIS}?prefix=e2e-{uuid.uuid4().hex[:12]}:"


def broker():
    """Likewise the broker."""
    return f"{RABBITMQ}?prefix=e2e-{uuid.uuid4().hex[:12]}."


def environment(database, bucket):
    return {"DATABASE_URL": database, "REDIS_URL": redis(), "RABBITMQ_URL": broker(), "MINIO_ENDPOINT": S3, "MINIO_BUCKET": bucket,
            "MINIO_ACCESS_KEY": os.environ["FILEPROC_TEST_S3_ACCESS_KEY"],
            "MINIO_SECRET_KEY": os.environ["FILEPROC_TEST_S3_SECRET_KEY"]}


class Cluster:
    """`replicas` of each of the five. daemons["upload"] is the first one's; all is every one."""

    def __init__(self, folder, replicas=1, **settings):
        self.database, self.drop = schema()
        self.bucket = s3_bucket.make("cluster")
        self.ports = {name: free_port() for name in NAMES}
        peers = {f"FILEPROC_PEER_{name.upper()}": f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        self.env = {**environment(self.database, self.bucket), **peers, **settings}
        self.all = [Daemon(pathlib.Path(folder) / f"{name}-{n}", env=self.env, program=f"fileproc-{name}",
                           port=self.ports[name] if n == 0 else None) for n in range(replicas) for name in NAMES]
        self.daemons = dict(zip(NAMES, self.all))

    def __getitem__(self, name):
        return self.daemons[name]

    def start(self):
        for one in self.all:
            one.start(wait=False)
        for one in self.all:
            one.wait_ready()
        return self

    def end(self):
        """What is wrong with how they ended; None when nothing is."""
        wrong = [f"{one.program.name}: {why}\n{one.log_text()[-2000:]}" for one in self.all if (why := one.end())]
        self.drop()
        return "\n".join(wrong) or None
