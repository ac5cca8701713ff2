"""News reaches a real receiver in order, however often it fails, hangs or goes away."""

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from patience import PATIENCE_S
from sqlalchemy import select

from kernel.api_keys import revoke_api_key
from kernel.jobs import bind
from kernel.runtime import Runtime
from servicing import operations as servicing
from servicing.archive import KINDS
from servicing.events import LoanChanged
from servicing.tables import Alert
from servicing.webhooks import jobs, news, operations, queries
from servicing.webhooks.clients import Outcome, Poster
from servicing.webhooks.model import AddressRefused
from servicing.webhooks.news import told
from servicing.webhooks.tables import WebhookEndpoint, WebhookEvent


def lend(runtime: Runtime, book: Any, *, people: int = 1, repayments: int = 3) -> list[int]:
    """Let some people have a loan each and pay a little several times; return the people."""
    with runtime.database.write() as session:
        loans = [book.terms(session) for _ in range(people)]
        found = []
        for terms in loans:
            shown = book.confirmed(session, terms)
            loan_id = servicing.book_loan(
                session, terms=terms, disclosure_id=shown, key=f"l{shown}", now=book.now
            )
            found.append((terms.customer_id, loan_id))
    for turn in range(repayments):
        for _, loan_id in found:
            with runtime.database.write() as session:
                book.repay(session, loan_id, 1_000, key=f"p{loan_id}-{turn}", on=date(2026, 3, 1))
    return [customer_id for customer_id, _ in found]


def state_of(runtime: Runtime) -> str:
    with runtime.database.read() as session:
        return session.scalars(select(WebhookEndpoint.state)).one()


def waiting(runtime: Runtime, number: int) -> int:
    with runtime.database.read() as session:
        return queries.waiting(session, endpoint_id=number)


class TestOrder:
    def test_news_comes_once_signed_and_in_order(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        house.subscribe(receiver)
        (customer_id,) = lend(runtime, book)
        house.tells()
        house.tells()
        assert house.delivers() == 5
        assert house.delivers() == 0
        assert receiver.forged == 0
        kinds = [news["kind"] for news in receiver.taken]
        assert kinds == ["customer.created", "loan.booked", *["loan.repaid"] * 3]
        assert receiver.taken_of(customer_id) == sorted(receiver.taken_of(customer_id))
        last = receiver.taken[-1]["content"]
        assert last["amount_fen"] == 1_000
        assert last["loan_no"].startswith("FQ")
        assert not {"loan_id", "name", "phone"} & set(last)

    def test_what_fails_holds_back_its_customer_and_nobody_else(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        house.subscribe(receiver)
        one, two = lend(runtime, book, people=2)
        house.tells()
        failing = 3  # the first loan's booking
        receiver.answers[failing] = [500, 503]
        house.delivers()
        assert receiver.taken_of(one) == [1]
        assert len(receiver.taken_of(two)) == 5
        for seconds in (10, 60):
            clock.advance(timedelta(seconds=seconds))
            house.delivers()
        assert receiver.tries.count(failing) == 3
        assert len(receiver.taken_of(one)) == 5
        assert receiver.taken_of(one) == sorted(receiver.taken_of(one))

    def test_a_receiver_that_goes_away_and_comes_back_misses_nothing(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        number = house.subscribe(receiver)
        with runtime.database.write() as session:
            endpoint = session.get_one(WebhookEndpoint, number)
            url, endpoint.url = endpoint.url, "http://127.0.0.1:9/gone"
        people = lend(runtime, book, people=3)
        house.tells()
        house.delivers()
        clock.advance(timedelta(seconds=5))
        house.delivers()  # it is left alone until its pause is over
        with runtime.database.write() as session:
            attempts = queries.attempts(session, endpoint_id=number, before=None, limit=9)
            assert [each.fault for each in attempts] == ["connection"]
            session.get_one(WebhookEndpoint, number).url = url
        clock.advance(timedelta(seconds=10))
        house.delivers()
        assert waiting(runtime, number) == 0
        for customer_id in people:
            assert len(receiver.taken_of(customer_id)) == 5
            assert receiver.taken_of(customer_id) == sorted(receiver.taken_of(customer_id))

    def test_one_that_hangs_is_given_up_for_now(
        self,
        runtime: Runtime,
        house: Any,
        receiver: Any,
        book: Any,
        clock: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("servicing.webhooks.clients._TIMEOUT_S", 0.2)
        number = house.subscribe(receiver)
        (customer_id,) = lend(runtime, book)
        house.tells()
        receiver.silent_s = 1.0
        assert house.delivers() == 0
        with runtime.database.read() as session:
            (attempt,) = queries.attempts(session, endpoint_id=number, before=None, limit=9)
        assert (attempt.status, attempt.fault) == (None, "timeout")
        receiver.silent_s = 0.0
        clock.advance(timedelta(seconds=10))
        assert house.delivers() == 5
        # The one that hung was taken after all, so it came twice: in order still.
        assert sorted(set(receiver.taken_of(customer_id))) == [1, 2, 3, 4, 5]

    def test_a_redirect_leads_nowhere(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        house.subscribe(receiver)
        lend(runtime, book)
        house.tells()
        receiver.always = 302
        assert house.delivers() == 0
        assert receiver.tries == [1]


class TestEnd:
    def test_after_three_days_an_endpoint_is_disabled_and_goes_on_when_enabled(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        number = house.subscribe(receiver)
        (customer_id,) = lend(runtime, book)
        house.tells()
        receiver.always = 500
        for _ in range(40):
            house.delivers()
            clock.advance(timedelta(hours=6))
        assert state_of(runtime) == "disabled"
        with runtime.database.read() as session:
            assert session.scalars(select(Alert.kind)).all() == ["webhook-disabled"]
        tried = len(receiver.tries)
        assert house.delivers() == 0
        assert len(receiver.tries) == tried
        receiver.always = 200
        with runtime.database.write() as session:
            operations.enable_endpoint(session, endpoint_id=number, partner="shop", now=clock.now())
        assert house.delivers() == 5
        assert receiver.taken_of(customer_id) == [1, 2, 3, 4, 5]

    def test_gone_is_gone_at_once(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        house.subscribe(receiver)
        lend(runtime, book)
        house.tells()
        receiver.always = 410
        house.delivers()
        assert state_of(runtime) == "disabled"

    def test_a_partner_whose_key_was_revoked_gets_nothing(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        house.subscribe(receiver)
        with runtime.database.write() as session:
            revoke_api_key(session, key_id=house.key_id, now=clock.now())
        lend(runtime, book)
        house.tells()
        assert house.delivers() == 0
        assert receiver.tries == []

    def test_a_removed_one_gets_nothing(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        number = house.subscribe(receiver)
        with runtime.database.write() as session:
            operations.remove_endpoint(session, endpoint_id=number, partner="shop")
        lend(runtime, book)
        house.tells()
        assert house.delivers() == 0
        assert receiver.tries == []


class TestReplay:
    def test_news_is_delivered_again_from_a_position_on(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        lend(runtime, book, repayments=1)
        house.tells()  # before anybody listened
        number = house.subscribe(receiver)
        assert house.delivers() == 0
        for after, expected in ((0, [1, 2, 3]), (1, [2, 3])):
            receiver.taken.clear()
            with runtime.database.write() as session:
                operations.replay(
                    session, endpoint_id=number, partner="shop", after=after, now=clock.now()
                )
            house.delivers()
            assert [news["position"] for news in receiver.taken] == expected

    def test_only_the_kinds_that_are_wanted_come(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        house.subscribe(receiver, kinds=("loan.booked",))
        lend(runtime, book)
        house.tells()
        house.delivers()
        assert [news["kind"] for news in receiver.taken] == ["loan.booked"]

    def test_a_partner_hears_of_nobody_else_s_customers(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        house.subscribe(receiver, sees_whole_book=False)
        lend(runtime, book)
        house.tells()
        assert house.delivers() == 0
        with runtime.database.read() as session:
            assert session.scalars(select(WebhookEvent.partner)).all() == [None] * 5


class TestLease:
    def test_two_workers_do_not_serve_one_endpoint(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        house.subscribe(receiver)
        lend(runtime, book, people=4)
        house.tells()
        receiver.silent_s = 0.01
        workers = [threading.Thread(target=house.delivers) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(PATIENCE_S)
        house.delivers()
        assert len(receiver.tries) == len(set(receiver.tries)) == 20

    def test_what_a_worker_without_its_lease_finds_is_not_taken(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        number = house.subscribe(receiver)
        lend(runtime, book)
        house.tells()
        from servicing.webhooks import delivering  # noqa: PLC0415 -- one test looks inside

        assert delivering._take_lease(runtime, number, "old")
        (letter,) = delivering._next_letters(runtime, number, "old")
        clock.advance(timedelta(seconds=61))
        assert house.delivers() == 5
        assert delivering._take_lease(runtime, number, "new")
        late = Outcome(status=500, fault=None, took_ms=1)
        assert not delivering._note(runtime, number, "old", letter, late)
        assert waiting(runtime, number) == 0

    def test_a_worker_stops_when_its_time_is_over(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any
    ) -> None:
        house.subscribe(receiver)
        lend(runtime, book)
        house.tells()
        assert house.delivers(is_over=lambda: True) == 1
        assert house.delivers() == 4

    def test_the_jobs_deliver(self, runtime: Runtime, house: Any, receiver: Any, book: Any) -> None:
        number = house.subscribe(receiver)
        lend(runtime, book)
        house.tells()
        bind(runtime)
        jobs.deliver(runtime)
        jobs.deliver(runtime)
        assert runtime.redis.llen("rq:queue:default") == 1
        jobs.deliver_to(runtime, endpoint_id=number)
        assert len(receiver.taken) == 5


class TestGuard:
    @pytest.mark.parametrize(
        "url",
        [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://169.254.169.254/latest/meta-data",
            "http://shop.example/",
        ],
    )
    def test_production_posts_to_no_address_of_ours(self, url: str) -> None:
        post = Poster(is_development=False)
        with pytest.raises(AddressRefused):
            post.check(url)
        outcome = post(url, b"{}", {})
        assert (outcome.status, outcome.fault) == (None, "webhook-address-refused")

    def test_an_endpoint_of_a_private_address_is_refused_over_the_api(
        self, runtime: Runtime
    ) -> None:
        from partner import Shop  # noqa: PLC0415 -- needs the app

        from kernel.api_keys import create_api_key  # noqa: PLC0415
        from wsgi import create_app  # noqa: PLC0415

        made = replace(runtime, settings=replace(runtime.settings, env="production"))
        with runtime.database.write() as session:
            number, key = create_api_key(
                session, name="shop", scopes=["webhooks"], now=runtime.clock.now()
            )
        shop = Shop(made, create_app(made).test_client(), "shop", key, number)
        refused = shop.post("/webhooks", {"url": "https://10.0.0.1/hook"})
        assert refused.json["code"] == "webhook-address-refused"


class TestSecrets:
    def test_that_are_changed_sign_together_for_a_day(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        number = house.subscribe(receiver)
        old = receiver.secret
        lend(runtime, book, repayments=0)
        house.tells()
        with runtime.database.write() as session:
            made = operations.rotate_secret(
                session, runtime.cipher, endpoint_id=number, partner="shop", now=clock.now()
            )
        assert (made.number, made.secret != old) == (2, True)
        assert made.both_until == clock.now() + timedelta(days=1)
        assert house.delivers() == 2
        assert (receiver.forged, receiver.keys) == (0, f"{number}.2,{number}.1")
        receiver.secret = made.secret
        lend(runtime, book, repayments=0)
        house.tells()
        assert house.delivers() == 2
        clock.advance(timedelta(days=1))
        lend(runtime, book, repayments=0)
        house.tells()
        assert house.delivers() == 2
        assert (receiver.forged, receiver.keys) == (0, f"{number}.2")
        receiver.secret = old
        lend(runtime, book, repayments=0)
        house.tells()
        assert house.delivers() == 0
        assert receiver.forged > 0

    def test_are_changed_by_their_owner_alone(
        self, runtime: Runtime, house: Any, receiver: Any
    ) -> None:
        number = house.subscribe(receiver)
        with runtime.database.write() as session, pytest.raises(queries.EndpointNotFound):
            operations.rotate_secret(
                session,
                runtime.cipher,
                endpoint_id=number,
                partner="other",
                now=runtime.clock.now(),
            )


class TestStuck:
    def test_tells_what_was_tried_and_not_taken_and_another_try_begins_anew(
        self, runtime: Runtime, house: Any, receiver: Any, book: Any, clock: Any
    ) -> None:
        number = house.subscribe(receiver)
        (customer_id,) = lend(runtime, book)
        house.tells()
        receiver.answers[2] = [500, 503]
        house.delivers()
        clock.advance(timedelta(seconds=10))
        house.delivers()
        with runtime.database.read() as session:
            (stuck,) = queries.stuck(session, endpoint_id=number, limit=9)
        assert (stuck.position, stuck.kind, stuck.customer_id) == (2, "loan.booked", customer_id)
        assert (stuck.tries, stuck.last_status, stuck.last_fault) == (2, 503, None)
        with runtime.database.write() as session:
            waits = operations.retry_endpoint(
                session, endpoint_id=number, partner="shop", now=clock.now()
            )
        assert waits == 4
        assert house.delivers() == 4
        with runtime.database.read() as session:
            assert queries.stuck(session, endpoint_id=number, limit=9) == ()


class TestNews:
    def test_every_kind_of_event_has_a_name_of_its_own_or_the_plain_one(self) -> None:
        for kind in KINDS:
            name, content = told("LoanChanged", {"kind": kind, "seq": 2}) or ("", {})
            assert name in news.KINDS
            assert content == {"kind": kind, "seq": 2}
        assert set(news.NEWS[LoanChanged].by_kind) <= set(KINDS)
