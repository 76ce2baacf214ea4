"""Owns: the five daemons over four servers of their own, each of which may go away, lose what it knew, or be reached badly.
Must not know: what is asked of the daemons."""

import pathlib
import re
import shutil
import signal
import tempfile

import cluster
from daemon_process import HELPER, Daemon

DIRECT = ("upload", "metadata", "ai", "storage", "processing", "processing")
BEHIND_PROXIES = ("upload", "processing")
SERVERS = ("postgresql", "redis", "rabbitmq", "s3")
VARIABLES = dict(zip(SERVERS, ("DATABASE_URL", "REDIS_URL", "RABBITMQ_URL", "MINIO_ENDPOINT")))
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
SETTINGS = {"FILEPROC_HELPER": str(HELPER), "FILEPROC_WORKERS": "1", "FILEPROC_JOB_BACKOFF_BASE": "50ms", "FILEPROC_JOB_MAX_ATTEMPTS": "200",
            "FILEPROC_JOB_LEASE": "3s", "FILEPROC_REAP_INTERVAL": "1s", "FILEPROC_REAP_GRACE": "60s"}


def available():
    from broker import installed as broker
    from redis_server import installed as redis
    from s3_gateway import installed as s3
    return bool(broker() and redis() and s3() and list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")))


class FaultyCluster:
    """Two fileproc-upload and three fileproc-processing of one worker each, one of either behind proxies; of the others one each. All
    five of the former have a relay."""

    def __init__(self):
        from broker import Broker
        from postgresql_server import PostgresqlServer
        from redis_server import RedisServer
        from s3_gateway import Gateway

        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="fileproc-faults."))
        self.folder.chmod(0o755)  # PostgreSQL runs as a user of its own
        kinds = dict(zip(SERVERS, (PostgresqlServer, RedisServer, Broker, Gateway)))
        self.servers = {name: kind(self.folder / name) for name, kind in kinds.items()}
        self.proxies, self.all = {}, []

    def start(self):
        for server in self.servers.values():
            server.start()
        gateway = self.servers["s3"]
        access, secret = gateway.keys
        env = {name: server.endpoint if server is gateway else server.uri for name, server in self.servers.items()}
        self.proxies = {name: cluster.Proxy(ADDRESS.search(uri).group()) for name, uri in env.items()}
        proxied = {name: ADDRESS.sub(self.proxies[name].address, uri) for name, uri in env.items()}
        rest = {"MINIO_BUCKET": gateway.make_bucket("faults"), "MINIO_ACCESS_KEY": access, "MINIO_SECRET_KEY": secret, **SETTINGS}
        for uris, names in ((env, DIRECT), (proxied, BEHIND_PROXIES)):
            urls = {VARIABLES[name]: uri for name, uri in uris.items()}
            self.all += [Daemon(self.folder / f"{name}-{n}-{len(self.all)}", env={**urls, **rest}, program=f"fileproc-{name}")
                         for n, name in enumerate(names)]
        for one in self.all:
            one.start(wait=False)
        for one in self.all:
            one.wait_ready()
        return self

    def every(self, name):
        return [one for one in self.all if one.program.name == f"fileproc-{name}"]

    def __getitem__(self, name):
        return self.every(name)[0]

    def take_away(self, name):
        """At once, as in a crash."""
        server = self.servers[name]
        if name == "s3":
            server.halt()
        else:
            server.stop()

    def bring_back(self, name):
        server = self.servers[name]
        if name == "s3":
            server.resume()
        else:
            server.start()

    def freeze(self, daemons):
        for one in daemons:
            one.process.send_signal(signal.SIGSTOP)

    def thaw(self, daemons):
        for one in daemons:
            one.process.send_signal(signal.SIGCONT)

    def end(self):
        """What is wrong with how they ended; None when nothing is."""
        wrong = [f"{one.program.name}: {why}\n{one.log_text()[-2000:]}" for one in self.all if one.process and (why := one.end())]
        wrong += [line for one in self.all for line in one.log_text().splitlines() if '"status":500' in line or "s3cret" in line]
        for proxy in self.proxies.values():
            proxy.end()
        for server in self.servers.values():
            server.stop()
        if not wrong:
            shutil.rmtree(self.folder)
        return "\n".join(wrong) or None
