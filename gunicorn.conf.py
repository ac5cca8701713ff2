"""How gunicorn serves Fenqi: threads, because handlers wait on the database more than they count.

It is not where settings live; those are in the environment.
"""

import os

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
worker_class = "gthread"
control_socket_disable = True
graceful_timeout = 5
timeout = 30
keepalive = 30
accesslog = None
errorlog = "-"
loglevel = "warning"
