"""Lets several things happen at the same instant, each in a thread of its own."""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

Answer = TypeVar("Answer")


def together(calls: Sequence[Callable[[], Answer]]) -> tuple[list[Answer], list[Exception]]:
    """Make all calls at once; return what they answered and what they raised."""
    answers: list[Answer] = []
    errors: list[Exception] = []
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> None:
        start.wait()
        try:
            answers.append(call())
        except Exception as error:  # noqa: BLE001 -- the test looks at them
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, errors
