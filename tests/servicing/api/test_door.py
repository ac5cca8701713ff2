"""Who gets in, how often, and that a key of an intention counts once."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from partner import id_number
from patience import PATIENCE_S

from kernel.errors import FenqiError
from kernel.idempotency import alone
from kernel.runtime import Runtime
from servicing.api.scopes import SAID, Scope

NEW = {
    "reference": "shop-7",
    "name": "李四",
    "phone": "13800000007",
    "id_number": id_number(7),
    "is_student": False,
}


def token_of(shop: Any, **form: str) -> Any:
    form = {"grant_type": "client_credentials"} | form
    return shop.client.post("/api/v1/token", data=form, auth=(str(shop.number), shop.key))


class TestKeys:
    def test_nobody_gets_in_without_a_key(self, shop: Any) -> None:
        shop.key = "fq_wrong"
        response = shop.get("/products")
        assert (response.status_code, response.json["code"]) == (401, "api-key-refused")
        assert response.content_type == "application/problem+json"
        assert response.headers["WWW-Authenticate"] == "Bearer"

    def test_a_key_opens_only_what_it_is_for(self, open_shop: Callable[..., Any]) -> None:
        narrow = open_shop(scopes=[Scope.PRODUCTS_READ])
        assert narrow.get("/products").status_code == 200
        refused = narrow.get("/loans")
        assert (refused.status_code, refused.json["code"]) == (403, "api-key-lacks-scope")

    def test_the_scheme_is_read_in_either_case(self, shop: Any) -> None:
        headers = {"Authorization": f"bearer {shop.key}"}
        assert shop.client.get("/api/v1/products", headers=headers).status_code == 200

    def test_every_scope_is_explained(self) -> None:
        assert set(SAID) == set(Scope)


class TestTokens:
    def test_stand_for_the_key_for_a_quarter_of_an_hour(
        self, shop: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop.key = token_of(shop).json["access_token"]
        assert shop.get("/products").status_code == 200
        clock.advance(timedelta(minutes=16))
        monkeypatch.setattr("kernel.api_keys._TRUSTED_S", 0.0)
        shop.client.application.extensions["api_keys"]._known.clear()
        assert shop.get("/products").status_code == 401

    def test_can_be_good_for_less_and_never_for_more(self, open_shop: Callable[..., Any]) -> None:
        shop = open_shop(scopes=[Scope.PRODUCTS_READ, Scope.LOANS_READ])
        refused = token_of(shop, scope="exports:read")
        assert (refused.status_code, refused.json["error"]) == (400, "invalid_scope")
        answer = token_of(shop, scope="products:read").json
        assert (answer["token_type"], answer["scope"]) == ("Bearer", "products:read")
        shop.key = answer["access_token"]
        assert shop.get("/products").status_code == 200
        assert shop.get("/loans").status_code == 403

    def test_are_not_given_for_a_wrong_secret_nor_another_number(self, shop: Any) -> None:
        shop.number += 1
        refused = token_of(shop)
        assert (refused.status_code, refused.json["error"]) == (401, "invalid_client")
        assert refused.headers["WWW-Authenticate"].startswith("Basic")

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({"grant_type": "password", "username": "u"}, "unsupported_grant_type"),
            ({"grant_type": ""}, "invalid_request"),
            ({"scope": "products:read"}, "invalid_request"),
            ({"grant_type": "client_credentials", "scope": "x" * 501}, "invalid_request"),
        ],
    )
    def test_are_refused_in_words_of_oauth_beside_ours(
        self, shop: Any, form: dict[str, str], error: str
    ) -> None:
        """RFC 6749 5.2: a client reads `error` and knows nothing of problem details."""
        login = (str(shop.number), shop.key)
        refused = shop.client.post("/api/v1/token", data=form, auth=login)
        assert (refused.status_code, refused.json["error"]) == (400, error)
        assert (refused.json["code"], refused.json["status"]) == ("token-refused", 400)
        assert [fault["member"] for fault in refused.json["faults"]]
        assert refused.content_type == "application/problem+json"

    def test_are_given_whatever_else_is_sent(self, shop: Any) -> None:
        """RFC 6749 3.2: parameters that the server does not know are ignored."""
        assert token_of(shop, audience="https://fenqi.example").status_code == 200

    def test_are_documented_with_the_words_of_a_refusal(self, shop: Any) -> None:
        document = shop.client.get("/api/openapi.json").json
        problem = document["components"]["schemas"]["Problem"]["properties"]
        assert "unsupported_grant_type" in problem["error"]["enum"]
        answers = document["paths"]["/api/v1/token"]["post"]["responses"]
        for status, code in (("400", "token-refused"), ("401", "api-key-refused")):
            examples = answers[status]["content"]["application/problem+json"]["examples"]
            assert examples[code]["value"]["error"] in problem["error"]["enum"]

    @pytest.mark.parametrize("forged", ["fqt_", "fqt_e30.00", "fqt_é.é", "fqt_.", "Basic x"])
    def test_that_we_did_not_sign_are_refused(self, shop: Any, forged: str) -> None:
        shop.key = forged
        assert shop.get("/products").status_code == 401


class TestRates:
    def test_too_many_requests_are_told_when_to_come_again(
        self, open_shop: Callable[..., Any]
    ) -> None:
        shop = open_shop(rate_per_minute=2)
        assert [shop.get("/products").status_code for _ in range(3)] == [200, 200, 429]
        refused = shop.get("/products")
        assert refused.json["code"] == "api-too-often"
        assert 1 <= int(refused.headers["Retry-After"]) <= 61

    def test_every_answer_says_how_many_are_left(self, open_shop: Callable[..., Any]) -> None:
        shop = open_shop(rate_per_minute=2)
        for path, left in (("/products", "1"), ("/products/none", "0"), ("/products", "0")):
            headers = shop.get(path).headers
            assert (headers["RateLimit-Limit"], headers["RateLimit-Remaining"]) == ("2", left)
            assert 1 <= int(headers["RateLimit-Reset"]) <= 61

    def test_one_key_does_not_use_up_another_s(self, open_shop: Callable[..., Any]) -> None:
        busy, other = open_shop(rate_per_minute=1), open_shop("other", rate_per_minute=1)
        assert [busy.get("/products").status_code for _ in range(2)] == [200, 429]
        assert other.get("/products").status_code == 200


class TestShapes:
    def test_an_unknown_member_is_refused_by_its_name(self, shop: Any) -> None:
        refused = shop.post("/customers", NEW | {"nickname": "小李"})
        assert (refused.status_code, refused.json["code"]) == (422, "request-malformed")
        assert [fault["member"] for fault in refused.json["faults"]] == ["nickname"]

    def test_an_unknown_parameter_is_refused_too(self, shop: Any) -> None:
        assert shop.get("/products", page=2).json["faults"][0]["member"] == "page"
        assert shop.get("/loans", page=2).json["faults"][0]["member"] == "page"

    @pytest.mark.parametrize(
        ("member", "value"),
        [
            ("name", "李\u0000四"),
            ("name", "\ud800"),
            ("phone", "138"),
            ("is_student", "no"),
            ("reference", ""),
        ],
    )
    def test_a_wrong_value_is_refused(self, shop: Any, member: str, value: Any) -> None:
        refused = shop.post("/customers", NEW | {member: value})
        assert (refused.status_code, refused.json["faults"][0]["member"]) == (422, member)

    @pytest.mark.parametrize(
        "media",
        ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk"],
    )
    def test_a_body_that_is_not_said_to_be_json_is_refused(self, shop: Any, media: str) -> None:
        headers = {"Authorization": f"Bearer {shop.key}", "Idempotency-Key": "k"}
        refused = shop.client.post(
            "/api/v1/customers", data=json.dumps(NEW), headers=headers, content_type=media
        )
        assert (refused.status_code, refused.json["code"]) == (415, "unsupported-media-type")
        assert refused.content_type == "application/problem+json"
        headers["Content-Type"] = "application/json; charset=UTF-8"
        made = shop.client.post("/api/v1/customers", data=json.dumps(NEW), headers=headers)
        assert made.status_code == 201

    def test_what_is_no_json_is_refused(self, shop: Any) -> None:
        headers = {"Authorization": f"Bearer {shop.key}", "Idempotency-Key": "k"}
        for text, status in (("{", 400), ("[" * 100_000, 422), ("[]", 422)):
            response = shop.client.post(
                "/api/v1/customers", data=text, headers=headers, content_type="application/json"
            )
            assert response.status_code == status, text[:10]
            assert response.content_type == "application/problem+json"

    def test_another_method_is_told_which_there_are(self, shop: Any) -> None:
        response = shop.delete("/products")
        assert (response.status_code, response.json["code"]) == (405, "method-not-allowed")
        assert "GET" in response.headers["Allow"]

    def test_a_cursor_of_others_is_refused(self, shop: Any) -> None:
        for cursor in ("x", "é", "MTox", "LTE", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA"):
            assert shop.get("/loans", cursor=cursor).json["code"] == "cursor-unknown"


class TestOnce:
    def test_the_key_is_required(self, shop: Any) -> None:
        """fineract#5674: a retry without a key could pay twice."""
        assert shop.post("/customers", NEW, key="").json["code"] == "idempotency-key-missing"

    def test_a_repeat_gets_the_first_answer(self, shop: Any) -> None:
        first, again = (shop.post("/customers", NEW, key="k") for _ in range(2))
        assert (again.status_code, again.json) == (201, first.json)
        assert first.headers.get("Idempotency-Replayed") is None
        assert again.headers["Idempotency-Replayed"] == "true"

    def test_another_payload_is_a_conflict(self, shop: Any) -> None:
        shop.made("/customers", NEW, key="k")
        refused = shop.post("/customers", NEW | {"reference": "shop-8"}, key="k")
        assert (refused.status_code, refused.json["code"]) == (409, "idempotency-key-reused")

    def test_the_same_key_elsewhere_is_a_conflict(self, shop: Any) -> None:
        shop.made("/customers", NEW, key="k")
        assert shop.post("/applications/SQ1/appeal", key="k").status_code == 409

    def test_what_was_refused_may_be_sent_again_put_right(self, shop: Any) -> None:
        shop.made("/customers", NEW, key="k")
        other = NEW | {"phone": "13800000008"}
        assert shop.post("/customers", other, key="k2").json["code"] == "customer-known"
        right = other | {"reference": "shop-8", "id_number": id_number(8)}
        assert shop.post("/customers", right, key="k2").status_code == 201

    def test_keys_of_two_partners_do_not_meet(self, open_shop: Callable[..., Any]) -> None:
        open_shop().made("/customers", NEW, key="k")
        other = NEW | {"phone": "13800000008", "id_number": id_number(8)}
        assert open_shop("other").post("/customers", other, key="k").status_code == 201

    def test_while_the_first_is_at_work_the_second_is_sent_away(
        self, shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inside, leave = threading.Event(), threading.Event()
        real = alone

        def slow(redis: Any, name: str) -> Any:
            entered = real(redis, name)
            return _Slow(entered, inside, leave)

        monkeypatch.setattr("servicing.api.door.idempotency.alone", slow)
        answers: list[int] = []
        first = threading.Thread(
            target=lambda: answers.append(shop.post("/customers", NEW, key="k").status_code)
        )
        first.start()
        assert inside.wait(PATIENCE_S)
        monkeypatch.setattr("servicing.api.door.idempotency.alone", real)
        refused = shop.post("/customers", NEW, key="k")
        leave.set()
        first.join(PATIENCE_S)
        assert (refused.status_code, refused.json["code"]) == (409, "idempotency-key-in-progress")
        assert refused.headers["Retry-After"] == "1"
        assert answers == [201]
        assert shop.post("/customers", NEW, key="k").headers["Idempotency-Replayed"] == "true"

    def test_a_name_is_free_again_after_an_error(self, runtime: Runtime) -> None:
        for _ in range(2):
            with pytest.raises(FenqiError), alone(runtime.redis, "n"):
                raise FenqiError


class _Slow:
    """Stays inside until told to leave."""

    def __init__(self, entered: Any, inside: threading.Event, leave: threading.Event) -> None:
        self._entered, self._inside, self._leave = entered, inside, leave

    def __enter__(self) -> None:
        self._entered.__enter__()
        self._inside.set()
        assert self._leave.wait(PATIENCE_S)

    def __exit__(self, *error: object) -> Any:
        return self._entered.__exit__(*error)


class TestDocument:
    def test_names_every_operation_and_what_it_needs(self, shop: Any) -> None:
        document = shop.client.get("/api/openapi.json").json
        posting = document["paths"]["/api/v1/loans/{loan_no}/events"]["post"]
        assert "Idempotency-Key" in [each.get("name") for each in posting["parameters"]]
        assert posting["security"][0] == {"key": []}
        assert {"201", "401", "403", "404", "409", "422", "429"} <= set(posting["responses"])
        assert "/healthz" not in document["paths"]

    def test_is_shown_by_files_of_ours(self, shop: Any) -> None:
        page = shop.client.get("/api/docs").text
        assert "/static/vendor/swagger-ui-bundle.js" in page
        assert "http" not in page.replace("http-equiv", "")
        for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
            assert shop.client.get(f"/static/vendor/{name}").status_code == 200
