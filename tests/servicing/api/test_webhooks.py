"""Webhooks over the API: made, listed, replayed, removed; and the news read without any."""

from collections.abc import Callable
from typing import Any

from kernel.outbox import relay
from kernel.runtime import Runtime
from servicing.webhooks import operations
from servicing.webhooks.tables import WebhookEndpoint

URL = "http://127.0.0.1:9/hook"


class TestEndpoints:
    def test_are_made_listed_and_removed(self, shop: Any, runtime: Runtime) -> None:
        made = shop.made("/webhooks", {"url": URL, "kinds": ["loan.repaid"]})
        assert made["secret"].startswith("whsec_")
        with runtime.database.read() as session:
            kept = session.get_one(WebhookEndpoint, made["webhook_id"])
            assert made["secret"] not in str(vars(kept))
        (listed,) = shop.read("/webhooks")["webhooks"]
        assert (listed["url"], listed["kinds"], listed["state"]) == (URL, ["loan.repaid"], "active")
        assert "secret" not in listed
        assert shop.delete(f"/webhooks/{made['webhook_id']}").status_code == 204
        assert shop.read("/webhooks")["webhooks"] == []
        assert shop.delete(f"/webhooks/{made['webhook_id']}").status_code == 404

    def test_of_another_partner_are_not_there(self, open_shop: Callable[..., Any]) -> None:
        number = open_shop().made("/webhooks", {"url": URL})["webhook_id"]
        other = open_shop("other")
        assert other.post(f"/webhooks/{number}/enable").status_code == 404
        assert other.post(f"/webhooks/{number}/replay", {"after_position": 0}).status_code == 404
        assert other.get(f"/webhooks/{number}/attempts").status_code == 404
        assert other.delete(f"/webhooks/{number}").status_code == 404
        assert other.delete("/webhooks/99999999999999999999").status_code == 404

    def test_there_are_ten_at_most(self, shop: Any) -> None:
        for _ in range(10):
            shop.made("/webhooks", {"url": URL})
        assert shop.post("/webhooks", {"url": URL}).json["code"] == "webhooks-too-many"

    def test_unknown_kinds_are_refused(self, shop: Any) -> None:
        assert shop.post("/webhooks", {"url": URL, "kinds": ["gift"]}).status_code == 422

    def test_get_another_secret_from_their_owner(self, open_shop: Callable[..., Any]) -> None:
        shop, other = open_shop(), open_shop("other")
        made = shop.made("/webhooks", {"url": URL})
        changed = shop.made(f"/webhooks/{made['webhook_id']}/secret")
        assert changed["secret"] != made["secret"]
        number = made["webhook_id"]
        assert (made["key_id"], changed["key_id"]) == (f"{number}.1", f"{number}.2")
        assert shop.read("/webhooks")["webhooks"][0]["key_id"] == f"{number}.2"
        assert other.post(f"/webhooks/{number}/secret").status_code == 404


class TestNews:
    def test_is_read_from_any_position_on(self, shop: Any, runtime: Runtime) -> None:
        customer_id = shop.brings()
        loan = shop.lends(customer_id)
        relay(runtime, {}, (operations.publish,))
        page = shop.read("/news")
        kinds = [each["kind"] for each in page["news"]]
        assert kinds[0] == "customer.created"
        assert {"application.decided", "line.opened", "loan.booked"} <= set(kinds)
        assert page["news"][-1]["content"] == {"loan_no": loan}
        number = shop.applies(customer_id)
        shop.made(f"/applications/{number}/withdrawal")
        shop.does(loan, {"kind": "waiver", "component": "interest", "amount_fen": 100})
        relay(runtime, {}, (operations.publish,))
        later = shop.read("/news", after_position=page["last_position"])["news"]
        assert [(each["kind"], each["content"]) for each in later[-2:]] == [
            ("application.withdrawn", {"application_no": number}),
            ("loan.waived", {"loan_no": loan, "kind": "waiver", "seq": 2}),
        ]
        rest = shop.read("/news", after_position=page["news"][0]["position"], limit=1)
        assert rest["news"] == page["news"][1:2]
        assert shop.read("/news", after_position=later[-1]["position"])["news"] == []

    def test_of_what_came_otherwise_is_not_the_partner_s(
        self, open_shop: Callable[..., Any], runtime: Runtime
    ) -> None:
        one, other = open_shop(), open_shop("other")
        one.lends(one.brings(1))
        other.brings(1)
        relay(runtime, {}, (operations.publish,))
        kinds = {each["kind"] for each in other.read("/news")["news"]}
        assert kinds == {"customer.created", "line.opened"}

    def test_a_replay_counts_what_waits(self, shop: Any, runtime: Runtime) -> None:
        shop.brings()
        relay(runtime, {}, (operations.publish,))
        number = shop.made("/webhooks", {"url": URL})["webhook_id"]
        replayed = shop.made(f"/webhooks/{number}/replay", {"after_position": 0})
        assert replayed == {"waiting": 1}
        assert shop.made(f"/webhooks/{number}/enable") == {"waiting": 1}
        assert shop.read(f"/webhooks/{number}/attempts") == {"attempts": [], "next_cursor": None}
