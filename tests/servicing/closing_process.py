"""A closing worker as a process of its own, so that a test can kill it; not a test itself."""

import sys
from datetime import date, datetime

from redis import Redis

from assembly import build_cipher
from kernel.clock import FixedClock
from kernel.database import Database
from kernel.runtime import Runtime
from kernel.settings import Settings
from servicing import operations


def main(database_url: str, on: str, now: str) -> None:
    settings = Settings.from_env({})
    runtime = Runtime(
        settings=settings,
        database=Database(database_url),
        redis=Redis(),
        clock=FixedClock(datetime.fromisoformat(now)),
        cipher=build_cipher(settings),
    )
    operations.close_day(runtime, on=date.fromisoformat(on), batch=10, partition=50)


if __name__ == "__main__":
    main(*sys.argv[1:])
