"""API keys: shown once, kept as a hash, stopped within seconds."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import select

from kernel.api_keys import (
    ApiKeyLacksScope,
    ApiKeyNotFound,
    ApiKeyRefused,
    ApiKeyRow,
    ApiKeys,
    create_api_key,
    revoke_api_key,
)
from kernel.clock import FixedClock
from kernel.database import Database


def made(database: Database, clock: FixedClock) -> tuple[int, str]:
    with database.write() as session:
        return create_api_key(session, name="shop", scopes=["decisions"], now=clock.now())


def row(database: Database) -> ApiKeyRow:
    with database.read() as session:
        return session.scalars(select(ApiKeyRow)).one()


def test_the_key_itself_is_not_kept(database: Database, clock: FixedClock) -> None:
    _, key = made(database, clock)
    assert key not in str(vars(row(database)))


def test_a_good_key_says_who_calls(database: Database, clock: FixedClock) -> None:
    number, key = made(database, clock)
    caller = ApiKeys(database, clock).caller(f"Bearer {key}", scope="decisions")
    assert (caller.id, caller.name) == (number, "shop")


def test_a_good_key_is_not_good_for_everything(database: Database, clock: FixedClock) -> None:
    _, key = made(database, clock)
    with pytest.raises(ApiKeyLacksScope):
        ApiKeys(database, clock).caller(f"Bearer {key}", scope="facts")


def test_a_revoked_key_is_refused_after_seconds(
    database: Database, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, key = made(database, clock)
    keys = ApiKeys(database, clock)
    keys.caller(f"Bearer {key}", scope="decisions")
    with database.write() as session:
        revoke_api_key(session, key_id=number, now=clock.now())
    keys.caller(f"Bearer {key}", scope="decisions")  # still trusted
    later = time.monotonic() + 6
    monkeypatch.setattr("kernel.api_keys.time.monotonic", lambda: later)
    with pytest.raises(ApiKeyRefused):
        keys.caller(f"Bearer {key}", scope="decisions")


def test_its_last_use_is_noted_by_the_minute(database: Database, clock: FixedClock) -> None:
    _, key = made(database, clock)
    ApiKeys(database, clock).caller(f"Bearer {key}", scope="decisions")
    first = row(database).last_used_at
    clock.advance(timedelta(seconds=30))
    ApiKeys(database, clock).caller(f"Bearer {key}", scope="decisions")
    assert row(database).last_used_at == first
    clock.advance(timedelta(minutes=1))
    ApiKeys(database, clock).caller(f"Bearer {key}", scope="decisions")
    assert row(database).last_used_at == clock.now()


def test_wrong_keys_do_not_fill_the_memory(database: Database, clock: FixedClock) -> None:
    keys = ApiKeys(database, clock)
    for number in range(1_100):
        with pytest.raises(ApiKeyRefused):
            keys.caller(f"Bearer fq_{number}", scope="decisions")
    assert len(keys._known) <= 1_000


def test_an_unknown_key_cannot_be_revoked(database: Database, clock: FixedClock) -> None:
    with pytest.raises(ApiKeyNotFound), database.write() as session:
        revoke_api_key(session, key_id=404, now=clock.now())
