"""Calls from the platforms to our service; both are on this machine, so no proxy takes part."""

from typing import Any

import requests


def post(url: str, *, timeout_s: float, **body: Any) -> requests.Response:
    """Post once.

    Args:
        url: Our service's address.
        timeout_s: How long to wait for the connection and for the answer.
        body: `data`, `json` and `headers` as of requests.

    Raises:
        requests.RequestException: There was no answer in time.
    """
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, timeout=timeout_s, **body)
