"""A partner that calls the API with a key of its own, and loans that come through it."""

import re
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from verdicts import Verdict
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from kernel.identity import check_sign
from kernel.runtime import Runtime
from servicing import operations
from servicing.api.scopes import Scope
from servicing.payments.ports import PaymentFact
from servicing.payments.settlement import settle_payment
from servicing.payments.tables import PaymentOrder
from servicing.tables import Application, CreditLine, Loan

AGREED = {"purpose": "credit_inquiry", "text": "本人同意贷款人查询本人的信用信息。"}
ALL = tuple(scope for scope in Scope if scope is not Scope.WHOLE_BOOK)


@dataclass
class Shop:
    """A partner with a key: what it sends, and what it gets."""

    runtime: Runtime
    client: FlaskClient
    partner: str
    key: str
    number: int
    _serials: Any = field(default_factory=lambda: count(1))

    def get(self, path: str, **query: Any) -> TestResponse:
        address = f"/api/v1{path}"
        return self._kept(self.client.get(address, query_string=query, headers=self._headers()))

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> TestResponse:
        given = f"key-{next(self._serials)}" if key is None else key
        headers = self._headers() | ({"Idempotency-Key": given} if given else {})
        return self._kept(self.client.post(f"/api/v1{path}", json=body, headers=headers))

    def delete(self, path: str) -> TestResponse:
        return self._kept(self.client.delete(f"/api/v1{path}", headers=self._headers()))

    def made(self, path: str, body: Any = None, **given: Any) -> Any:
        """Post, and return what was made."""
        response = self.post(path, body, **given)
        assert response.status_code in (200, 201), response.text
        return response.json

    def read(self, path: str, **query: Any) -> Any:
        """Get, and return what is there."""
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return response.json

    def brings(self, serial: int = 1, **changes: Any) -> int:
        """Bring a customer, and return their number."""
        return self.made("/customers", person(serial) | changes)["customer_id"]

    def applies(self, customer_id: int, **changes: Any) -> str:
        """Apply for a phone in six terms, and return the application's number."""
        wanted = {
            "customer_id": customer_id,
            "product": "standard",
            "amount_fen": 300_000,
            "terms": 6,
            "merchant_name": "宏达手机卖场",
            "merchandise": "手机",
            "consents": [AGREED],
        }
        return self.made("/applications", wanted | changes)["application_no"]

    def lends(self, customer_id: int, *, on: date = date(2026, 1, 31), **changes: Any) -> str:
        """Have an application approved and booked, and return the loan's number."""
        number = self.applies(customer_id, **changes)
        now = self.runtime.clock.now()
        with self.runtime.database.write() as session:
            row = session.query(Application).filter_by(application_no=number).one()
            operations.decide_application(
                session, application_id=row.id, decision=Verdict(), now=now
            )
            table = operations.cost_table(
                principal_fen=row.amount_fen,
                rate_annual=row.rate_annual,
                terms=row.terms,
                disbursed_on=on,
            )
            shown = operations.confirm_cost(
                session, customer_id=customer_id, content=table, seconds_shown=9, now=now
            )
            loan_id = operations.book_application(
                session,
                application_id=row.id,
                disclosure_id=shown,
                key=number,
                disbursed_on=on,
                now=now,
            )
            return session.get_one(Loan, loan_id).loan_no

    def approves(self, application_no: str) -> None:
        """Have the machine approve an application."""
        with self.runtime.database.write() as session:
            row = session.query(Application).filter_by(application_no=application_no).one()
            operations.decide_application(
                session,
                application_id=row.id,
                decision=Verdict(),
                now=self.runtime.clock.now(),
            )

    def is_granted(self, customer_id: int, *, fen: int) -> None:
        """Have the customer's line raised."""
        with self.runtime.database.write() as session:
            line = session.query(CreditLine).filter_by(customer_id=customer_id).one()
            operations.change_granted(
                session,
                line_id=line.id,
                granted_fen=fen,
                actor="wang",
                now=self.runtime.clock.now(),
            )

    def does(self, loan_no: str, act: dict[str, Any], **given: Any) -> Any:
        """Preview an act and let just that happen; returns the event."""
        shown = self.made(f"/loans/{loan_no}/events/preview", act, key="")
        return self.made(f"/loans/{loan_no}/events", act | {"preview": shown["preview"]}, **given)

    def is_paid(self, loan_no: str, *, fen: int, owed: int) -> None:
        """Let money of a borrower arrive through WeChat Pay for the oldest instalment."""
        now, serial = self.runtime.clock.now(), next(self._serials)
        with self.runtime.database.write() as session:
            loan = session.query(Loan).filter_by(loan_no=loan_no).one()
            order = PaymentOrder(
                out_trade_no=f"PO{serial}",
                key=f"po-{serial}",
                customer_id=loan.customer_id,
                loan_id=loan.id,
                channel="wechat_jsapi",
                appid="wx",
                mchid="1",
                openid_enc="",
                amount_fen=fen,
                quote={"on": "2026-03-10", "purpose": "due", "lines": [{"n": 1, "fen": owed}]},
                description="分期还款",
                state="open",
                created_at=now,
                expires_at=now,
                next_query_at=now,
            )
            session.add(order)
            session.flush()
            fact = PaymentFact(
                out_trade_no=order.out_trade_no,
                trade_state="SUCCESS",
                appid="wx",
                mchid="1",
                transaction_id=f"42{serial}",
                total_fen=fen,
                success_at=now,
            )
            settle_payment(session, fact=fact, now=now)

    def _kept(self, response: TestResponse) -> TestResponse:
        """Hold every refusal in every test against the codes that its operation names."""
        operation = self._operation(response)
        if operation and response.status_code >= HTTPStatus.BAD_REQUEST:
            told = operation["responses"].get(str(response.status_code))
            assert told, response.text
            schema = told["content"]["application/problem+json"]["schema"]
            assert response.json["code"] in schema["allOf"][1]["properties"]["code"]["enum"]
        return response

    def _operation(self, response: TestResponse) -> Any:
        """Find what the document says of what was asked for; None if there is no such thing."""
        request = response.request
        adapter = self.client.application.url_map.bind("localhost")
        try:
            rule, _ = adapter.match(request.path, request.method, return_rule=True)
        except HTTPException:
            return None
        document = self.client.get("/api/openapi.json").json
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        return document["paths"][path][request.method.lower()]

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


def id_number(serial: int) -> str:
    """A right id number of a region that does not exist."""
    body = f"99000019900101{serial:03d}"
    return body + check_sign(body)


def person(serial: int = 1) -> dict[str, Any]:
    """A customer as a shop sends one."""
    return {
        "reference": f"shop-{serial}",
        "name": "张小三",
        "phone": f"138{serial:08d}",
        "id_number": id_number(serial),
        "is_student": False,
    }
