#!/usr/bin/python3
"""Owns: the peer of bench_jobs: tasks that do nothing through Celery, acknowledged late, results in Redis, two worker processes.
Prints one JSON line: tasks ended in a second, and how long it takes from the call that queues a task to its start.
Must not know: the library.

usage: celery_jobs.py BROKER-URI REDIS-URI TASKS LATENCIES PREFETCH-MULTIPLIER"""

import json
import os
import subprocess
import sys
import time

from celery import Celery
from kombu import Queue
import redis

BROKER, RESULTS, TASKS, LATENCIES, PREFETCH = (os.environ.get(f"BENCH_CELERY_{name}") or argument for name, argument in zip(
    ("BROKER", "RESULTS", "TASKS", "LATENCIES", "PREFETCH"), sys.argv[1:6] if len(sys.argv) > 5 else ["", "", "0", "0", "4"]))
QUEUE = "fileproc-bench"

app = Celery("celery_jobs", broker=BROKER, backend=RESULTS)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=int(PREFETCH), task_default_queue=QUEUE,
                task_queues=[Queue(QUEUE)], worker_hijack_root_logger=False)


@app.task(name="nothing")
def nothing():
    return time.monotonic()


def start_worker():
    environment = dict(os.environ, BENCH_CELERY_BROKER=BROKER, BENCH_CELERY_RESULTS=RESULTS, BENCH_CELERY_PREFETCH=PREFETCH,
                       PYTHONPATH=os.path.dirname(os.path.abspath(__file__)), C_FORCE_ROOT="1", PYTHONDONTWRITEBYTECODE="1")
    return subprocess.Popen([sys.executable, "-m", "celery", "-A", "celery_jobs", "worker", "--loglevel", "ERROR", "--concurrency",
                             "2", "--queues", QUEUE, "--without-gossip", "--without-mingle", "--without-heartbeat"],
                            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rate(results):
    """The worker takes nothing while tasks are queued; then it has them all to do."""
    app.control.cancel_consumer(QUEUE, reply=True)
    before = results.dbsize()
    start = time.monotonic()
    for _ in range(int(TASKS)):
        nothing.apply_async()
    queued = time.monotonic() - start
    start = time.monotonic()
    app.control.add_consumer(QUEUE, reply=True)
    while results.dbsize() - before < int(TASKS):
        time.sleep(0.005)
    return int(TASKS) / queued, int(TASKS) / (time.monotonic() - start)


def latencies():
    found = []
    for _ in range(int(LATENCIES)):
        start = time.monotonic()
        found.append((nothing.apply_async().get(timeout=60) - start) * 1000)
        time.sleep(0.003)
    return sorted(found) or [0.0]


def main():
    results = redis.Redis.from_url(RESULTS)
    worker = start_worker()
    try:
        for task in [nothing.apply_async() for _ in range(200)]:  # it is up, and warm
            task.get(timeout=120)
        queued, ended = rate(results)
        ms = latencies()
    finally:
        worker.terminate()
        worker.wait(60)
    print(json.dumps({"created_per_s": round(queued), "jobs_per_s": round(ended), "start_p50_ms": round(ms[len(ms) // 2], 2),
                      "start_p99_ms": round(ms[len(ms) * 99 // 100], 2)}))


if __name__ == "__main__":
    main()
