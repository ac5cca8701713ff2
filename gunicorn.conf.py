"""How gunicorn serves Fenqi: threads, because handlers wait on the database more than they count.

It is not where settings live; those are in the environment.
"""

import gc
import os

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
worker_class = "kernel.web_worker.Worker"
control_socket_disable = True
graceful_timeout = 5
timeout = 30
keepalive = 30
accesslog = None
errorlog = "-"
loglevel = "warning"


def post_worker_init(_worker: object) -> None:
    """Leave what the app consists of out of garbage collection, which would walk it on and on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
