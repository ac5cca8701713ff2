import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from bot import binding
from bot.binding import BindingInputInvalid, BindingRefused, BindingTooOften, Claimed
from bot.jobs import send_code
from bot.memory import key_of
from contact.operations import AddressTaken
from contact.ports import AddressKind
from contact.queries import customer_of
from contact.tables import Contact
from kernel.jobs import DEFAULT_QUEUE, queue_of
from kernel.runtime import Runtime
from servicing.queries import consents_of

NEW = "oNewAccount0000000000000001"


@pytest.fixture
def person(people: list[dict[str, str]]) -> dict[str, str]:
    return people[1]


def run_jobs(runtime: Runtime) -> None:
    """Run what was queued, as the default worker does."""
    queue = queue_of(runtime, DEFAULT_QUEUE)
    for job in queue.jobs:
        send_code(runtime, **job.kwargs["arguments"])
        job.delete()


def sent_codes(runtime: Runtime) -> list[str]:
    with runtime.database.read() as session:
        rows = session.scalars(select(Contact.facts).where(Contact.template_code == "otp")).all()
    return [runtime.cipher.decrypt(facts["code"], context="contact.facts.code") for facts in rows]


def ask(runtime: Runtime, phone: str, openid: str = NEW) -> list[str]:
    binding.request_code(runtime, openid=openid, phone=phone)
    run_jobs(runtime)
    return sent_codes(runtime)


def try_bind(runtime: Runtime, person: dict[str, str], code: str, **changes: str) -> int:
    values = {"phone": person["phone"], "code": code, "id_last4": person["id_last4"]} | changes
    return binding.bind(runtime, openid=NEW, claimed=Claimed(**values), now=runtime.clock.now())


def bound_customer(runtime: Runtime, openid: str = NEW) -> int | None:
    with runtime.database.read() as session:
        return customer_of(
            session, channel_kind=AddressKind.WECHAT, address=openid, cipher=runtime.cipher
        )


class TestRequestCode:
    def test_sends_six_digits_to_a_customers_phone(
        self, runtime: Runtime, person: dict[str, str]
    ) -> None:
        (code,) = ask(runtime, person["phone"])
        assert len(code) == 6
        assert code.isdigit()

    def test_an_unknown_phone_gets_nothing_and_nobody_notices(
        self, runtime: Runtime, person: dict[str, str]
    ) -> None:
        assert person
        assert ask(runtime, "19900000000") == []
        assert runtime.redis.get(key_of("code", NEW))

    def test_neither_phone_nor_code_lie_in_redis(
        self, runtime: Runtime, person: dict[str, str]
    ) -> None:
        binding.request_code(runtime, openid=NEW, phone=person["phone"])
        (ticket_job,) = queue_of(runtime, DEFAULT_QUEUE).jobs
        stored = b"".join(
            runtime.redis.get(key) or b"" for key in runtime.redis.keys("fenqi:bot:*")
        )
        assert person["phone"].encode() not in stored
        assert person["phone"] not in str(ticket_job.kwargs)
        assert 0 < runtime.redis.ttl(key_of("code", NEW)) <= 300

    def test_a_job_that_runs_again_sends_once(
        self, runtime: Runtime, person: dict[str, str]
    ) -> None:
        binding.request_code(runtime, openid=NEW, phone=person["phone"])
        (job,) = queue_of(runtime, DEFAULT_QUEUE).jobs
        for _ in range(3):
            send_code(runtime, **job.kwargs["arguments"])
        assert len(sent_codes(runtime)) == 1

    def test_one_a_minute_for_an_account_and_for_a_phone(
        self, runtime: Runtime, people: list[dict[str, str]]
    ) -> None:
        ask(runtime, people[1]["phone"])
        with pytest.raises(BindingTooOften):
            ask(runtime, people[2]["phone"])
        with pytest.raises(BindingTooOften):
            ask(runtime, people[1]["phone"], openid="oAnother")

    def test_five_a_day(self, runtime: Runtime, person: dict[str, str]) -> None:
        for _ in range(5):
            ask(runtime, person["phone"])
            for key in runtime.redis.keys("fenqi:bot:code-minute:*"):
                runtime.redis.delete(key)
        with pytest.raises(BindingTooOften):
            ask(runtime, person["phone"])

    @pytest.mark.parametrize("phone", ["", "123", "abcdefghijk", "2" * 11, "1" * 12, "１" * 11])
    def test_refuses_what_is_no_phone(self, runtime: Runtime, phone: str) -> None:
        with pytest.raises(BindingInputInvalid):
            binding.request_code(runtime, openid=NEW, phone=phone)


class TestBind:
    def test_binds_whom_code_phone_and_id_prove(
        self, runtime: Runtime, person: dict[str, str]
    ) -> None:
        (code,) = ask(runtime, person["phone"])
        customer_id = try_bind(runtime, person, code)
        assert bound_customer(runtime) == customer_id == 2
        with runtime.database.read() as session:
            assert "wechat_binding" in {
                consent.purpose for consent in consents_of(session, customer_id=customer_id)
            }

    def test_the_account_before_loses_the_binding_and_is_told(
        self,
        runtime: Runtime,
        person: dict[str, str],
        told: Callable[[str], list[dict[str, Any]]],
    ) -> None:
        (code,) = ask(runtime, person["phone"])
        try_bind(runtime, person, code)
        assert bound_customer(runtime, person["openid"]) is None
        assert any("另一个微信" in facts["text"] for facts in told("late_reply"))

    def test_a_code_serves_once(self, runtime: Runtime, person: dict[str, str]) -> None:
        (code,) = ask(runtime, person["phone"])
        try_bind(runtime, person, code)
        with pytest.raises(BindingRefused):
            try_bind(runtime, person, code)

    @pytest.mark.parametrize(
        "changes", [{"code": "999999"}, {"id_last4": "9999"}, {"phone": "10000000003"}]
    )
    def test_whatever_is_wrong_the_answer_is_the_same(
        self, runtime: Runtime, person: dict[str, str], changes: dict[str, str]
    ) -> None:
        (code,) = ask(runtime, person["phone"])
        with pytest.raises(BindingRefused) as refused:
            try_bind(runtime, person, **({"code": code} | changes))
        assert refused.value.message_zh == BindingRefused.message_zh
        assert bound_customer(runtime) is None

    def test_the_fourth_try_is_too_many_even_if_right(
        self, runtime: Runtime, person: dict[str, str]
    ) -> None:
        (code,) = ask(runtime, person["phone"])
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        for _ in range(3):
            with pytest.raises(BindingRefused):
                try_bind(runtime, person, wrong)
        with pytest.raises(BindingRefused):
            try_bind(runtime, person, code)

    def test_parallel_guesses_win_nothing(
        self, runtime: Runtime, person: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask(runtime, person["phone"])
        compared: list[str] = []
        hashed = binding._hash

        def spy(given: Runtime, openid: str, phone: str, code: str) -> str:
            compared.append(code)
            time.sleep(0.01)
            return hashed(given, openid, phone, code)

        monkeypatch.setattr(binding, "_hash", spy)

        def guess(number: int) -> Any:
            try:
                return try_bind(runtime, person, f"{number:06d}")
            except (BindingRefused, BindingTooOften) as error:
                return error.code

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(guess, range(12)))
        assert len(compared) <= 3

    def test_nine_failures_a_day_are_enough(self, runtime: Runtime, person: dict[str, str]) -> None:
        for _ in range(9):
            with pytest.raises(BindingRefused):
                try_bind(runtime, person, "000000")
        with pytest.raises(BindingTooOften):
            try_bind(runtime, person, "000000")

    def test_anothers_account_stays_theirs(
        self, runtime: Runtime, people: list[dict[str, str]]
    ) -> None:
        mine, theirs = people[1], people[2]["openid"]
        (code,) = ask(runtime, mine["phone"], openid=theirs)
        claimed = Claimed(phone=mine["phone"], code=code, id_last4=mine["id_last4"])
        with pytest.raises(AddressTaken):
            binding.bind(runtime, openid=theirs, claimed=claimed, now=runtime.clock.now())
        assert bound_customer(runtime, theirs) == 3

    @pytest.mark.parametrize(
        "changes", [{"code": "12345"}, {"id_last4": "12"}, {"phone": "x"}, {"id_last4": "12３4"}]
    )
    def test_input_that_cannot_be_right_costs_no_try(
        self, runtime: Runtime, person: dict[str, str], changes: dict[str, str]
    ) -> None:
        values = {"phone": person["phone"], "code": "123456", "id_last4": "1234"} | changes
        with pytest.raises(BindingInputInvalid):
            binding.bind(runtime, openid=NEW, claimed=Claimed(**values), now=runtime.clock.now())
        assert runtime.redis.get(key_of("code-tries", NEW)) is None
