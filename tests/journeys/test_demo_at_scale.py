from datetime import date, timedelta

import pytest

from kernel.runtime import Runtime
from servicing import operations
from servicing.demo.book import seed_demo


@pytest.mark.slow
def test_a_book_of_a_thousand_lives_three_days_and_still_proves_itself(runtime: Runtime) -> None:
    now = runtime.clock.now()
    with runtime.database.write() as session:
        seed_demo(session, runtime.cipher, customers=1000, seed=5, now=now)
    for days in range(1, 4):
        operations.close_day(runtime, on=date(2026, 3, 10) + timedelta(days=days))
        with runtime.database.read() as session:
            assert operations.prove_books(session) == []
