"""What callers meet at /api/v1/decisions."""

import json
from collections.abc import Callable
from datetime import timedelta
from random import Random
from threading import Thread
from typing import Any

import pytest
from deciding import VECTOR, Caller, asked, store_vector
from sqlalchemy import func, select
from werkzeug.test import EnvironBuilder

from cli.risk import publish_house_strategy
from kernel.api_keys import create_api_key
from risk.decisions.door import PATH
from risk.tables import DecisionKey, DecisionRecord, LinkValue


def stored(caller: Caller) -> int:
    """Count decisions on disk; as many keys have been used."""
    with caller.runtime.database.read() as session:
        decisions = session.scalar(select(func.count()).select_from(DecisionRecord))
        keys = session.scalar(select(func.count()).select_from(DecisionKey))
    assert decisions == keys
    return decisions or 0


class TestDeciding:
    def test_a_good_applicant_is_approved_with_a_line(self, caller: Caller) -> None:
        answer = caller.post(asked())
        assert answer.status_code == 200, answer.text
        decided = answer.get_json()
        assert decided["outcome"] == "approve", decided
        assert decided["outputs"]["line_fen"] == 600_000
        assert decided["strategy"]["version"] == 1
        assert decided["missing"] == []
        assert stored(caller) == 1

    def test_it_can_be_read_again(self, caller: Caller) -> None:
        answer = caller.post(asked())
        again = caller.get(answer.get_json()["id"])
        assert (again.status_code, again.data) == (200, answer.data)

    def test_a_decline_says_why_in_chinese(self, caller: Caller) -> None:
        store_vector(caller.runtime, "customer:18", VECTOR | {"age_years": 17})
        decided = caller.post(asked() | {"subject": "customer:18"}).get_json()
        assert decided["outcome"] == "decline"
        assert decided["reasons"] == [
            {"code": "under-age", "customer": "您暂不符合申请的年龄要求。"}
        ]
        (hit,) = [each for each in decided["evidence"] if each["outcome"] == "decline"]
        assert hit["values"] == {"age_years": 17}

    def test_a_subject_without_a_vector_is_reviewed(self, caller: Caller) -> None:
        decided = caller.post(asked() | {"subject": "customer:404"}).get_json()
        assert decided["outcome"] == "review"
        assert "income_monthly_fen" in decided["missing"]

    @pytest.mark.parametrize(
        "odd", ["NaN", "1e30", "-Infinity", "1e999", '"800000"', "null", "true", '""', "0"]
    )
    @pytest.mark.parametrize("name", ["income_monthly_fen", "age_years"])
    def test_odd_values_never_approve_and_name_the_field(
        self, caller: Caller, name: str, odd: str
    ) -> None:
        body = json.dumps(asked(**{name: "@"})).replace('"@"', odd)
        answer = caller.post(body)
        assert answer.status_code == 200, answer.text
        decided = answer.get_json()
        assert decided["outcome"] != "approve"
        named = {name for hit in decided["evidence"] for name in hit["values"]}
        assert name in named | set(decided["missing"])

    def test_a_batch_is_decided_under_one_key(self, caller: Caller) -> None:
        body = {"decisions": [asked(), asked(requested_fen=25_000_000)]}
        answer = caller.post(body, path="/api/v1/decisions:batch")
        decided = answer.get_json()["decisions"]
        assert [each["outcome"] for each in decided] == ["approve", "decline"]
        again = caller.post(body, path="/api/v1/decisions:batch")
        assert again.data == answer.data
        body["decisions"].append(asked())
        assert caller.post(body, path="/api/v1/decisions:batch").status_code == 409
        with caller.runtime.database.read() as session:
            assert session.scalar(select(func.count()).select_from(DecisionRecord)) == 2

    def test_of_two_hundred_odd_applications_none_is_approved_by_accident(
        self, caller: Caller
    ) -> None:
        """Whatever the strategy must know is odd in turn; what is no value of it is named."""
        chance = Random(7)  # noqa: S311 -- odd values are no secret
        odd = [None, "", "x", "12", [], {}, -1, 0, 1e30, -1e30, 1e308, float("nan"), 10**40, True]
        fields = ["requested_fen", "lender_type", "is_identity_verified", "face_similarity"]
        for n in range(200):
            document = asked()
            for name in chance.sample([*fields, "identity_key"], chance.choice((1, 2, 3))):
                document["application"][name] = chance.choice(odd)
            given = document["application"]
            answer = caller.post(document, idempotency_key=f"odd-{n}")
            assert answer.status_code in {200, 422}, given
            decided = answer.get_json()
            is_named_only = all(given[name] == asked()["application"][name] for name in fields)
            if decided.get("outcome") == "approve":
                assert is_named_only or given["is_identity_verified"] is True, given
                assert isinstance(given["identity_key"], str), given
                assert given["identity_key"], given
            if decided.get("missing") == []:
                assert given["lender_type"] == "consumer_finance", given
                assert type(given["requested_fen"]) in {int, float}, given


class TestKeys:
    def test_a_repeat_gets_the_first_answer(self, caller: Caller) -> None:
        first = caller.post(asked())
        caller.runtime.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
        again = caller.post(asked())
        assert (again.status_code, again.data) == (200, first.data)
        assert stored(caller) == 1

    def test_spacing_and_order_are_no_other_payload(self, caller: Caller) -> None:
        first = caller.post(asked())
        turned = dict(reversed(asked().items()))
        assert caller.post(json.dumps(turned, indent=2)).data == first.data

    def test_another_payload_is_a_conflict(self, caller: Caller) -> None:
        caller.post(asked())
        answer = caller.post(asked(requested_fen=700_000))
        assert (answer.status_code, answer.get_json()["code"]) == (409, "idempotency-key-reused")
        assert stored(caller) == 1

    def test_parallel_uses_of_a_key_store_one_decision_each(self, caller: Caller) -> None:
        seen: dict[str, set[bytes]] = {f"k{n}": set() for n in range(5)}
        statuses = set()

        def ask(key: str) -> None:
            answer = caller.post(asked(), idempotency_key=key)
            statuses.add(answer.status_code)
            seen[key].add(answer.data)

        threads = [Thread(target=ask, args=(key,)) for key in seen for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert statuses == {200}
        assert [len(answers) for answers in seen.values()] == [1] * 5
        assert stored(caller) == 5

    def test_keys_of_two_callers_do_not_meet(
        self, caller: Caller, open_door: Callable[..., Caller]
    ) -> None:
        other = open_door()
        mine, theirs = caller.post(asked()), other.post(asked())
        assert mine.get_json()["id"] != theirs.get_json()["id"]
        answer = other.get(mine.get_json()["id"])
        assert (answer.status_code, answer.get_json()["code"]) == (404, "decision-not-found")


class TestTogether:
    """What comes at once is answered at once; see kernel.web_worker."""

    def answered(self, caller: Caller, *given: tuple[str, Any]) -> list[tuple[int, Any]]:
        """Ask under keys, all at once; returns statuses and answers."""
        headers = {"Authorization": f"Bearer {caller.key}"}
        environs = [
            EnvironBuilder(
                PATH,
                method="POST",
                data=json.dumps(body),
                headers=headers | {"Idempotency-Key": key},
            ).get_environ()
            for key, body in given
        ]
        answers = caller.door.answers(environs)
        return [(int(each.status.split()[0]), json.loads(each.body)) for each in answers]

    def test_each_gets_its_own_answer(self, caller: Caller) -> None:
        for number, age in enumerate((17, 40)):
            store_vector(caller.runtime, f"customer:{number}", VECTOR | {"age_years": age})
        found = self.answered(
            caller,
            *((f"k{subject}", asked() | {"subject": f"customer:{subject}"}) for subject in (1, 0)),
            ("k404", asked() | {"subject": "customer:404"}),
        )
        assert [(status, said["outcome"]) for status, said in found] == [
            (200, "approve"),
            (200, "decline"),
            (200, "review"),
        ]
        assert [said["subject"] for _, said in found] == [
            "customer:1",
            "customer:0",
            "customer:404",
        ]
        assert stored(caller) == 3

    def test_what_is_refused_leaves_the_others_be(self, caller: Caller) -> None:
        found = self.answered(
            caller,
            ("k1", asked()),
            ("k 2", asked()),
            ("k3", asked() | {"product": "yacht"}),
            ("k4", []),
            ("k5", asked()),
        )
        assert [status for status, _ in found] == [200, 422, 422, 422, 200]
        codes = [said.get("code") for _, said in found]
        assert codes[2:4] == ["decision-product-unknown", "decision-malformed"]
        assert stored(caller) == 2

    def test_a_key_that_comes_twice_is_used_once(self, caller: Caller) -> None:
        other = asked(requested_fen=700_000)
        found = self.answered(caller, ("k1", asked()), ("k1", asked()), ("k2", asked()))
        assert [status for status, _ in found] == [200, 200, 200]
        assert found[0] == found[1] != found[2]
        assert self.answered(caller, ("k1", other), ("k2", asked()))[0][0] == 409
        assert stored(caller) == 2

    def test_links_are_counted_for_each(self, caller: Caller) -> None:
        cipher = caller.runtime.cipher
        with caller.runtime.database.write() as session:
            for value, degree in (("a", 3), ("b", 9)):
                session.add(
                    LinkValue(
                        value_hash=cipher.blind_index(value, context="link.device"),
                        kind="device",
                        degree=degree,
                        bad=0,
                        last_bad_at=None,
                        exempt=False,
                    )
                )
        values = ("b", "a", "unknown", "b")
        self.answered(
            caller, *((f"k{n}", asked() | {"links": {"device": v}}) for n, v in enumerate(values))
        )
        with caller.runtime.database.read() as session:
            rows = session.execute(
                select(DecisionKey.key, DecisionRecord.snapshot)
                .join(DecisionRecord, DecisionRecord.id == DecisionKey.decision_ids)
                .order_by(DecisionKey.key)
            )
            counts = [[link[1] for link in json.loads(row.snapshot)["link_counts"]] for row in rows]
        assert counts == [[9], [3], [], [9]]

    def test_the_newest_vector_counts(self, caller: Caller) -> None:
        caller.runtime.clock.advance(timedelta(hours=1))  # type: ignore[attr-defined]
        store_vector(caller.runtime, "customer:17", VECTOR | {"age_years": 17})
        found = self.answered(caller, ("k1", asked()), ("k2", asked()))
        assert [said["outcome"] for _, said in found] == ["decline", "decline"]


class TestWhoMaySay:
    def test_a_plain_key_states_what_an_applicant_knows_alone(
        self, caller: Caller, open_door: Callable[..., Caller]
    ) -> None:
        plain = open_door(scopes=("decisions",))
        said = {"requested_fen": 600_000, "city": "上海", "ip": "10.0.0.1"}
        assert plain.post(asked() | {"application": said}).status_code == 200
        for name, value in (
            ("line_granted_fen", 90_000_000),
            ("is_identity_verified", True),
            ("days_past_due_now", 0),
            ("identity_key", "another"),
            ("device_others_30d", 0),
            ("face_similarity", 0.99),
            ("outside_list_hits", 0),
        ):
            body = asked() | {"application": said | {name: value}}
            refused = plain.post(body, idempotency_key=name)
            assert (refused.status_code, refused.get_json()["code"]) == (
                422,
                "decision-field-not-yours",
            )
            assert refused.get_json()["names"] == [name]
        assert caller.post(asked()).get_json()["outcome"] == "approve"

    def test_an_odd_value_is_named(self, caller: Caller) -> None:
        said = caller.post(asked(lender_type="SMALL_LOAN", face_similarity=92)).get_json()
        assert said["outcome"] == "review"
        assert "face_similarity" in said["odd"]


class TestRefusing:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ("{", "decision-malformed"),
            ("[]", "decision-malformed"),
            (json.dumps(asked())[:-1] + ', "product": "yacht"}', "decision-malformed"),
            (
                json.dumps(asked()).replace(
                    '"requested_fen":', '"requested_fen": 1, "requested_fen":'
                ),
                "decision-malformed",
            ),
            (b"\xff", "decision-malformed"),
            ('{"subject": "\\ud800"}', "decision-malformed"),
            ({}, "decision-malformed"),
            (asked() | {"subject": "a b"}, "decision-malformed"),
            (asked() | {"application": []}, "decision-malformed"),
            (asked(requested_fen=[1]), "decision-malformed"),
            (asked() | {"links": {"device": 7}}, "decision-malformed"),
            (asked() | {"links": {f"k{n}": "x" for n in range(9)}}, "decision-malformed"),
            (asked() | {"hurry": True}, "decision-member-unknown"),
            (asked(favourite_colour="red"), "decision-field-unknown"),
            (asked(bureau_score=800), "decision-field-unknown"),
            (asked(bad_links_now=0), "decision-field-unknown"),
            (asked() | {"product": "yacht"}, "decision-product-unknown"),
            ("[" * 100_000, "decision-malformed"),
            ("9" * 5_000, "decision-malformed"),
            (" " * 300_000, "decision-too-large"),
        ],
    )
    def test_what_cannot_be_read_is_refused_by_a_code(
        self, caller: Caller, body: Any, code: str
    ) -> None:
        answer = caller.post(body)
        assert (answer.status_code, answer.get_json()["code"]) == (422, code)
        assert answer.content_type == "application/problem+json"
        assert stored(caller) == 0

    @pytest.mark.parametrize("key", ["", "a b", "x" * 129, "键"])
    def test_a_key_must_be_given(self, caller: Caller, key: str) -> None:
        headers = {
            "Authorization": f"Bearer {caller.key}",
            "Idempotency-Key": key.encode().decode("latin1"),
        }
        answer = caller.client.post("/api/v1/decisions", data="{}", headers=headers)
        assert answer.get_json()["code"] == "idempotency-key-missing"

    @pytest.mark.parametrize("given", ["", "Bearer", "Bearer fq_wrong", "Basic fq_x"])
    def test_a_good_api_key_is_needed(self, caller: Caller, given: str) -> None:
        answer = caller.client.post(
            "/api/v1/decisions", data="{}", headers={"Authorization": given}
        )
        assert (answer.status_code, answer.get_json()["code"]) == (401, "api-key-refused")

    def test_a_key_for_something_else_is_not_enough(self, caller: Caller) -> None:
        with caller.runtime.database.write() as session:
            _, key = create_api_key(
                session, name="other", scopes=["facts"], now=caller.runtime.clock.now()
            )
        headers = {"Authorization": f"Bearer {key}"}
        answer = caller.client.get("/api/v1/decisions/D1", headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (403, "api-key-lacks-scope")

    @pytest.mark.parametrize("number", ["D1", "D20260310FFFFFFFFFFFFFFFF", "D99999999", "键"])
    def test_a_decision_that_is_not_there_is_not_found(self, caller: Caller, number: str) -> None:
        answer = caller.get(number)
        assert (answer.status_code, answer.get_json()["code"]) == (404, "decision-not-found")

    def test_other_methods_are_not_found(self, caller: Caller) -> None:
        headers = {"Authorization": f"Bearer {caller.key}"}
        answer = caller.client.delete("/api/v1/decisions", headers=headers)
        assert answer.status_code == 404

    def test_nothing_is_decided_without_a_strategy(self, open_door: Callable[..., Caller]) -> None:
        answer = open_door().post(asked())
        assert (answer.status_code, answer.get_json()["code"]) == (503, "no-strategy-in-force")
        assert answer.headers["Retry-After"] == "1"

    def test_other_paths_go_to_the_app_behind(self, caller: Caller) -> None:
        assert caller.client.get("/healthz").data == b"behind"


def test_development_publishes_its_strategy_once(caller: Caller) -> None:
    publish_house_strategy(caller.runtime)
    assert caller.post(asked()).get_json()["strategy"]["version"] == 1
