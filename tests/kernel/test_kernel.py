import json
import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import StatementError

from kernel import clock, idempotency, ids, jobs, money, outbox
from kernel.clock import ClockOffset, FixedClock, MovableClock
from kernel.crypto import FieldCipher, FieldNotReadable
from kernel.database import Database, PeekOnly, insert_ignore
from kernel.idempotency import IdempotencyKey, KeyReused
from kernel.logs import configure_logs, log
from kernel.metrics import JOBS_DONE
from kernel.money import MoneyNotReadable, Rounding
from kernel.runtime import Runtime

NOW = datetime(2026, 3, 10, 2, 0, tzinfo=UTC)


class TestMoney:
    @pytest.mark.parametrize(
        ("text", "fen"), [("1", 100), ("0.5", 50), ("1234.56", 123456), ("-0.01", -1)]
    )
    def test_reads_yuan(self, text: str, fen: int) -> None:
        assert money.fen_from_yuan(text) == fen

    @pytest.mark.parametrize("text", ["", "1.234", "1e3", "１", "1,000", "abc", "NaN", "."])
    def test_refuses_what_is_no_amount(self, text: str) -> None:
        with pytest.raises(MoneyNotReadable):
            money.fen_from_yuan(text)

    @given(st.integers(min_value=-(10**14), max_value=10**14))
    def test_writes_what_it_reads(self, fen: int) -> None:
        assert money.fen_from_yuan(money.plain_yuan(fen)) == fen
        assert money.yuan(fen).replace(",", "") == money.plain_yuan(fen)

    @pytest.mark.parametrize(
        ("rounding", "fen"),
        [
            (Rounding.HALF_UP, 3),
            (Rounding.HALF_EVEN, 2),
            (Rounding.DOWN, 2),
            (Rounding.UP, 3),
        ],
    )
    def test_rounds_as_named(self, rounding: Rounding, fen: int) -> None:
        assert money.round_fen(Decimal("2.5"), rounding=rounding) == fen


class TestClock:
    def test_business_date_changes_at_midnight_in_shanghai(self) -> None:
        before = datetime(2026, 3, 9, 15, 59, 59, tzinfo=UTC)
        assert clock.business_date(before) == date(2026, 3, 9)
        assert clock.business_date(before + timedelta(seconds=1)) == date(2026, 3, 10)

    def test_start_of_day_is_its_first_instant(self) -> None:
        start = clock.start_of_day(date(2026, 3, 10))
        assert clock.business_date(start) == date(2026, 3, 10)
        assert clock.business_date(start - timedelta(seconds=1)) == date(2026, 3, 9)

    def test_end_of_day_is_its_last_instant(self) -> None:
        end = clock.end_of_day(date(2026, 3, 10))
        assert end + timedelta(microseconds=1) == clock.start_of_day(date(2026, 3, 11))

    def test_moves_every_process_by_one_row(self, database: Database) -> None:
        with database.write() as session:
            clock.move_clock(session, offset=timedelta(days=3))
        before = clock.SystemClock().now()
        moved = MovableClock(database).now() - timedelta(days=3)
        assert before <= moved <= clock.SystemClock().now()


class TestDatabase:
    def test_refuses_a_naive_instant(self, database: Database) -> None:
        row = {
            "action": "a",
            "key": "k",
            "payload_hash": "h",
            "answer": None,
            "recorded_at": NOW.replace(tzinfo=None),
        }
        with pytest.raises(StatementError), database.write() as session:
            session.add(IdempotencyKey(**row))

    def test_gives_back_aware_utc(self, database: Database) -> None:
        with database.write() as session:
            idempotency.claim(session, action="a", key="k", payload={}, now=NOW)
        with database.read() as session:
            assert session.scalar(select(IdempotencyKey.recorded_at)) == NOW

    def test_rolls_back_on_any_error(self, database: Database) -> None:
        with pytest.raises(RuntimeError), database.write() as session:
            session.add(ClockOffset(id=1, offset_ms=5))
            raise RuntimeError
        with database.read() as session:
            assert session.get(ClockOffset, 1) is None

    def test_reading_changes_nothing(self, database: Database) -> None:
        with database.read() as session:
            session.add(ClockOffset(id=1, offset_ms=5))
            session.flush()
        with database.read() as session:
            assert session.get(ClockOffset, 1) is None

    def test_peeking_sees_each_commit_at_once(self, database: Database) -> None:
        with database.peek() as session:
            assert session.get(ClockOffset, 1) is None
        with database.write() as session:
            session.add(ClockOffset(id=1, offset_ms=5))
        with database.peek() as session:
            assert session.scalar(select(ClockOffset.offset_ms)) == 5

    def test_peeking_refuses_to_change_anything(self, database: Database) -> None:
        with pytest.raises(PeekOnly), database.peek() as session:
            session.add(ClockOffset(id=1, offset_ms=5))
            session.flush()
        with pytest.raises(PeekOnly), database.peek() as session:
            session.execute(delete(ClockOffset))
        with database.read() as session:
            assert session.get(ClockOffset, 1) is None

    def test_peeking_leaves_transactions_as_they_were(self, database: Database) -> None:
        with database.peek() as session:
            assert session.scalar(select(ClockOffset.id)) is None
        with pytest.raises(ZeroDivisionError), database.write() as session:
            session.add(ClockOffset(id=1, offset_ms=5))
            session.flush()
            raise ZeroDivisionError
        with database.read() as session:
            assert session.get(ClockOffset, 1) is None

    def test_a_connection_that_died_idle_is_replaced(
        self, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kernel.database._TRUSTED_S", 0.0)
        own = Database(postgresql_url, pool_size=1)
        with own.read() as session:
            first = session.scalar(text("SELECT pg_backend_pid()"))
        other = Database(postgresql_url)
        with other.read() as session:
            session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": first})
        with own.read() as session:
            assert session.scalar(text("SELECT pg_backend_pid()")) != first
        own.dispose()
        other.dispose()

    def test_insert_ignore_counts_only_new_rows(self, database: Database) -> None:
        rows = [{"id": number, "offset_ms": 0} for number in range(3)]
        with database.write() as session:
            assert insert_ignore(session, ClockOffset, rows, conflict=["id"]) == 3
            more = [*rows, {"id": 9, "offset_ms": 0}]
            assert insert_ignore(session, ClockOffset, more, conflict=["id"]) == 1


class TestIdempotency:
    def test_repeats_get_the_first_answer(self, database: Database) -> None:
        with database.write() as session:
            first = idempotency.claim(session, action="a", key="k", payload={"x": 1}, now=NOW)
            assert first.answer is None
            first.keep({"id": 7})
        with database.write() as session:
            again = idempotency.claim(session, action="a", key="k", payload={"x": 1}, now=NOW)
            assert again.answer == {"id": 7}

    def test_another_payload_under_the_key_is_a_conflict(self, database: Database) -> None:
        with database.write() as session:
            idempotency.claim(session, action="a", key="k", payload={"x": 1}, now=NOW)
        with pytest.raises(KeyReused), database.write() as session:
            idempotency.claim(session, action="a", key="k", payload={"x": 2}, now=NOW)

    def test_a_failed_use_leaves_the_key_free(self, database: Database) -> None:
        with pytest.raises(RuntimeError), database.write() as session:
            idempotency.claim(session, action="a", key="k", payload={}, now=NOW)
            raise RuntimeError
        with database.write() as session:
            claimed = idempotency.claim(session, action="a", key="k", payload={}, now=NOW)
            assert claimed.answer is None


class TestCrypto:
    @given(st.text(max_size=60))
    def test_opens_what_it_sealed(self, text: str) -> None:
        cipher = FieldCipher({"k": b"k" * 32}, current="k", index_key=b"i")
        assert cipher.decrypt(cipher.encrypt(text, context="c"), context="c") == text

    def test_refuses_a_value_moved_to_another_column(self, cipher: FieldCipher) -> None:
        token = cipher.encrypt("13800000000", context="customer.phone")
        with pytest.raises(FieldNotReadable):
            cipher.decrypt(token, context="customer.name")

    @pytest.mark.parametrize("token", ["", "v1:dev", "v1:other:AAAA", "v1:dev:%%%", "v1:dev:AAAA"])
    def test_refuses_what_is_not_ours(self, cipher: FieldCipher, token: str) -> None:
        with pytest.raises(FieldNotReadable):
            cipher.decrypt(token, context="c")

    def test_old_keys_still_read(self) -> None:
        old = FieldCipher({"a": b"a" * 32}, current="a", index_key=b"i")
        new = FieldCipher({"a": b"a" * 32, "b": b"b" * 32}, current="b", index_key=b"i")
        assert new.decrypt(old.encrypt("text", context="c"), context="c") == "text"

    def test_index_is_equal_for_equal_texts_of_one_context_only(self, cipher: FieldCipher) -> None:
        index = cipher.blind_index("x", context="a")
        assert index == cipher.blind_index("x", context="a")
        assert index != cipher.blind_index("x", context="b")
        assert index != cipher.blind_index("y", context="a")


class TestLogs:
    def test_cannot_print_personal_data(self, capsys: pytest.CaptureFixture[str]) -> None:
        configure_logs()
        log.info(
            "call 13812345678",
            phone="13812345678",
            details={"name": "张三", "note": ["110101199003074514", 13812345678]},
            reason="customer 13812345678 unknown",
        )
        logging.getLogger("library").warning("sent to %s", "13812345678")
        written = capsys.readouterr().err
        assert "13812345678" not in written
        assert "110101199003074514" not in written
        assert "张三" not in written
        assert "[removed]" in written


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened(outbox.Event):
    number: int
    on: date


@jobs.job()
def remember(runtime: Runtime, *, number: int, on: str) -> None:
    runtime.redis.rpush("seen", f"{number} {on}")


class TestOutbox:
    def test_relays_each_event_once_in_order(self, runtime: Runtime) -> None:
        with runtime.database.write() as session:
            for number in range(3):
                event = Happened(number=number, on=date(2026, 3, 10))
                outbox.record(session, event, now=NOW)
        assert outbox.relay(runtime, {Happened: (remember,)}) == 3
        assert outbox.relay(runtime, {Happened: (remember,)}) == 0
        jobs.bind(runtime)
        for job in jobs.queue_of(runtime, "default").jobs:
            jobs.perform(**job.kwargs)
        assert runtime.redis.lrange("seen", 0, -1) == [
            f"{number} 2026-03-10".encode() for number in range(3)
        ]

    def test_an_event_dies_with_its_transaction(self, runtime: Runtime) -> None:
        with pytest.raises(RuntimeError), runtime.database.write() as session:
            outbox.record(session, Happened(number=1, on=date(2026, 3, 10)), now=NOW)
            raise RuntimeError
        with runtime.database.read() as session:
            assert outbox.waiting(session) == 0


class TestPeriodicJobs:
    def test_queues_a_slot_once(self, runtime: Runtime, clock: FixedClock) -> None:
        daily = (jobs.Periodic(job=remember, schedule=jobs.Daily(hour=9)),)
        assert jobs.queue_due(runtime, daily) == 1
        assert jobs.queue_due(runtime, daily) == 0
        runtime.redis.flushall()
        assert jobs.queue_due(runtime, daily) == 0
        clock.advance(timedelta(days=1))
        assert jobs.queue_due(runtime, daily) == 1

    def test_queues_again_what_was_lost_but_not_what_was_done(
        self, runtime: Runtime, clock: FixedClock
    ) -> None:
        daily = (jobs.Periodic(job=remember, schedule=jobs.Daily(hour=9), passes_date=True),)
        lost = (jobs.Periodic(job=stumble, schedule=jobs.Daily(hour=9)),)
        jobs.bind(runtime)
        assert jobs.queue_due(runtime, daily + lost) == 2
        (done, _) = jobs.queue_of(runtime, "default").jobs
        jobs.perform(**{**done.kwargs, "arguments": {"number": 1, **done.kwargs["arguments"]}})
        clock.advance(stumble.lost_after - timedelta(seconds=1))
        runtime.redis.flushall()
        assert jobs.queue_due(runtime, daily + lost) == 0
        clock.advance(timedelta(seconds=1))
        runtime.redis.flushall()
        assert jobs.queue_due(runtime, daily + lost) == 1
        (again,) = jobs.queue_of(runtime, "default").jobs
        assert again.kwargs == {"name": stumble.name, "arguments": {}, "slot": "2026-03-10"}

    def test_keeps_one_row_a_job(self, runtime: Runtime, clock: FixedClock) -> None:
        often = (jobs.Periodic(job=remember, schedule=jobs.Every(seconds=10)),)
        for _ in range(3):
            assert jobs.queue_due(runtime, often) == 1
            clock.advance(timedelta(seconds=10))
        with runtime.database.read() as session:
            assert session.scalar(select(func.count()).select_from(jobs.JobRun)) == 1

    def test_waits_for_the_hour(self, runtime: Runtime) -> None:
        evening = (jobs.Periodic(job=remember, schedule=jobs.Daily(hour=20)),)
        assert jobs.queue_due(runtime, evening) == 0

    def test_job_queue_holds_json_and_no_pickles(self, runtime: Runtime) -> None:
        jobs.enqueue(runtime, remember, number=1, on="2026-03-10")
        (job,) = jobs.queue_of(runtime, "default").jobs
        stored = json.loads(runtime.redis.hget(job.key, "data") and job.data)
        assert stored[3]["arguments"] == {"number": 1, "on": "2026-03-10"}


class TestIds:
    def test_number_can_be_a_payment_order_number(self) -> None:
        number = ids.new_number("FQ", on=date(2026, 3, 10))
        assert number.startswith("FQ20260310")
        assert number.isalnum()
        assert 6 <= len(number) <= 32


@jobs.job()
def stumble(_runtime: Runtime) -> None:
    raise ValueError


class TestPerform:
    def test_counts_what_was_done_and_what_failed(self, runtime: Runtime) -> None:
        def count(job: jobs.Job, outcome: str) -> float:
            return float(JOBS_DONE.labels(job.name, outcome)._value.get())

        jobs.bind(runtime)
        before = count(remember, "done"), count(stumble, "failed")
        jobs.perform(name=remember.name, arguments={"number": 1, "on": "2026-03-10"})
        with pytest.raises(ValueError):  # noqa: PT011 -- the job's own
            jobs.perform(name=stumble.name, arguments={})
        assert (count(remember, "done"), count(stumble, "failed")) == (before[0] + 1, before[1] + 1)
        assert count(stumble, "done") == 0


class TestRead:
    def test_what_was_read_stays_readable(self, database: Database) -> None:
        with database.write() as session:
            session.add(ClockOffset(id=1, offset_ms=5))
        with database.read() as session:
            row = session.get_one(ClockOffset, 1)
        assert row.offset_ms == 5
