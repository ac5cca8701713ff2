"""How gunicorn serves Fenqi: threads, because handlers wait on the database more than they count.

It is not where settings live; those are in the environment.
"""

import gc
import os
import shutil
import tempfile

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
worker_class = "kernel.web_worker.Worker"
control_socket_disable = True
graceful_timeout = 5
timeout = 30
keepalive = 30
limit_request_line = 8190
accesslog = None
errorlog = "-"
loglevel = "warning"

# Each process counts in a file here, so that /metrics of any of them answers for all.
_counts = tempfile.mkdtemp(prefix="fenqi-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _counts


def child_exit(_server: object, worker: object) -> None:
    """Forget what a process that ended had at the moment; what it had counted stays."""
    from prometheus_client import multiprocess  # noqa: PLC0415 -- it reads the variable when imported

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[attr-defined,no-untyped-call]


def on_exit(_server: object) -> None:
    """Leave nothing behind."""
    shutil.rmtree(_counts, ignore_errors=True)


def post_worker_init(_worker: object) -> None:
    """Leave what the app consists of out of garbage collection, which would walk it on and on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
