"""A borrower with a loan, a payment provider that can be told to misbehave, and signed notifies."""

import json
import secrets
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pay_stand import Stand, stand_in
from sqlalchemy import select

from kernel import development
from kernel.clock import FixedClock, shanghai
from kernel.crypto import FieldCipher
from kernel.runtime import Runtime
from kernel.settings import Settings
from kernel.web import create_base_app
from servicing import operations as servicing
from servicing.payments import views
from servicing.payments.bills import BillKind
from servicing.payments.crypto import sign
from servicing.payments.ports import (
    NewOrder,
    PaymentFact,
    PayParams,
    PayProblem,
    PayProvider,
    PayRefused,
    RefundFact,
)
from servicing.payments.tables import PaymentOrder
from servicing.tables import LedgerEntry, LedgerPosting

APPID = development.DEFAULTS["WECHAT_APP_ID"]
MCHID = development.DEFAULTS["PAY_MCH_ID"]


@dataclass
class _Order:
    new: NewOrder
    prepay_id: str
    state: str = "NOTPAY"
    transaction_id: str = ""
    success_at: datetime | None = None


@dataclass
class FakePay:
    """PayProvider in memory.

    `problems` says what goes wrong at the next call of a name: before it has an effect, or after.
    """

    clock: FixedClock
    appid: str = APPID
    mchid: str = MCHID
    orders: dict[str, _Order] = field(default_factory=dict)
    refunds: dict[str, RefundFact] = field(default_factory=dict)
    bills: dict[tuple[BillKind, date], str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    before: dict[str, list[PayProblem]] = field(default_factory=dict)
    after: dict[str, list[PayProblem]] = field(default_factory=dict)
    when_called: dict[str, Callable[[], object]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        self.calls.append(name)
        if self.before.get(name):
            raise self.before[name].pop(0)
        with self._lock:
            yield
        if name in self.when_called:
            self.when_called.pop(name)()
        if self.after.get(name):
            raise self.after[name].pop(0)

    def pay(self, number: str) -> PaymentFact:
        order = self.orders[number]
        assert order.state == "NOTPAY"
        order.state = "SUCCESS"
        order.transaction_id = "42" + number[-20:]
        order.success_at = self.clock.now()
        return self.fact(number)

    def fact(self, number: str, **changes: Any) -> PaymentFact:
        order = self.orders[number]
        is_paid = order.state == "SUCCESS"
        values: dict[str, Any] = {
            "out_trade_no": number,
            "trade_state": order.state,
            "appid": self.appid,
            "mchid": self.mchid,
            "transaction_id": order.transaction_id,
            "success_at": order.success_at,
            "total_fen": order.new.amount_fen if is_paid else None,
        }
        return PaymentFact(**values | changes)

    def create_jsapi_order(self, order: NewOrder) -> str:
        with self._call("create"):
            held = self.orders.setdefault(
                order.out_trade_no, _Order(new=order, prepay_id="wx" + secrets.token_hex(8))
            )
            if held.new != order:
                raise PayRefused("INVALID_REQUEST")
            if held.state != "NOTPAY":
                raise PayRefused("ORDER_CLOSED" if held.state == "CLOSED" else "INVALID_REQUEST")
        return held.prepay_id

    def query(self, *, out_trade_no: str) -> PaymentFact | None:
        with self._call("query"):
            known = out_trade_no in self.orders
            return self.fact(out_trade_no) if known else None

    def close(self, *, out_trade_no: str) -> bool:
        with self._call("close"):
            order = self.orders.get(out_trade_no)
            if order is not None and order.state == "SUCCESS":
                raise PayRefused("ORDERPAID")
            if order is not None:
                order.state = "CLOSED"
        return order is not None

    def refund(
        self,
        *,
        out_refund_no: str,
        transaction_id: str,
        refund_fen: int,
        total_fen: int,
        reason: str,
    ) -> RefundFact:
        with self._call("refund"):
            assert refund_fen <= total_fen
            assert any(o.transaction_id == transaction_id for o in self.orders.values())
            assert reason
            fact = RefundFact(
                out_refund_no=out_refund_no,
                refund_id="50" + out_refund_no[-20:],
                status="PROCESSING",
                refund_fen=refund_fen,
            )
            self.refunds.setdefault(out_refund_no, fact)
        return self.refunds[out_refund_no]

    def finish_refund(self, number: str, status: str = "SUCCESS") -> RefundFact:
        known = self.refunds[number]
        self.refunds[number] = RefundFact(
            out_refund_no=number,
            refund_id=known.refund_id,
            status=status,
            refund_fen=known.refund_fen,
            success_at=self.clock.now() if status == "SUCCESS" else None,
        )
        return self.refunds[number]

    def query_refund(self, *, out_refund_no: str) -> RefundFact | None:
        with self._call("query-refund"):
            return self.refunds.get(out_refund_no)

    def bill(self, *, kind: BillKind, on: date) -> str | None:
        with self._call("bill"):
            return self.bills.get((kind, on))

    def build_jsapi_params(
        self, *, prepay_id: str, out_trade_no: str, amount_fen: int, now: datetime
    ) -> PayParams:
        return PayParams(
            app_id=self.appid,
            timestamp=str(int(now.timestamp())),
            nonce="nonce",
            package=f"prepay_id={prepay_id}",
            sign_type="RSA",
            pay_sign="signature",
            out_trade_no=out_trade_no,
            amount_fen=amount_fen,
        )


@pytest.fixture
def stand(runtime: Runtime, clock: FixedClock, tmp_path: Path) -> Iterator[Stand]:
    """Start the stand-in and our app, and give the runtime the real provider."""
    with stand_in(runtime, clock, tmp_path) as started:
        yield started


@pytest.fixture
def pay(runtime: Runtime, clock: FixedClock) -> FakePay:
    """Return the fake that the runtime gives as PayProvider."""
    fake = FakePay(clock=clock)
    runtime.provide(PayProvider, fake)
    return fake


@dataclass(frozen=True)
class Book:
    """One borrower with one loan: instalment 1 is overdue, 2 is due on the clock's day."""

    runtime: Runtime
    customer_id: int
    loan_id: int

    def order(self, number: str) -> PaymentOrder:
        with self.runtime.database.read() as session:
            order = session.scalars(
                select(PaymentOrder).where(PaymentOrder.out_trade_no == number)
            ).one()
            session.expunge_all()
        return order

    def rows(self, model: type[Any]) -> list[Any]:
        with self.runtime.database.read() as session:
            rows = list(session.scalars(select(model).order_by(model.id)).all())
            session.expunge_all()
        return rows

    def differences(self) -> list[str]:
        with self.runtime.database.read() as session:
            return servicing.prove_books(session)

    def ledger(self) -> list[str]:
        """State what payments entered in the ledger, one line an entry, as what came in."""
        with self.runtime.database.read() as session:
            rows = session.execute(
                select(LedgerEntry, LedgerPosting)
                .join(LedgerPosting, LedgerPosting.entry_id == LedgerEntry.id)
                .where(LedgerEntry.kind.in_(("repayment", "overpayment", "refund")))
                .order_by(LedgerEntry.id)
            ).all()
            session.expunge_all()
        entries = {entry.id: entry for entry, _ in rows}
        for entry_id in entries:
            assert sum(leg.amount_fen for entry, leg in rows if entry.id == entry_id) == 0
        return [
            f"{entry.effective_on} {entry.kind} {_cash(rows, entry.id):+d}"
            for entry in entries.values()
        ]


@pytest.fixture
def book(runtime: Runtime, clock: FixedClock, cipher: FieldCipher) -> Book:
    """Make the borrower."""
    now = clock.now() - timedelta(days=60)
    terms: dict[str, Any] = {
        "principal_fen": 120_000,
        "rate_annual": Decimal("0.18"),
        "terms": 12,
        "disbursed_on": date(2026, 1, 10),
    }
    with runtime.database.write() as session:
        customer_id = servicing.create_customer(
            session,
            cipher,
            name="张小满",
            phone="13800001234",
            id_number="110101199003071234",
            now=now,
        )
        disclosure_id = servicing.confirm_cost(
            session,
            customer_id=customer_id,
            content=servicing.cost_table(**terms),
            seconds_shown=12,
            now=now,
        )
        loan_id = servicing.book_loan(
            session,
            terms=servicing.LoanTerms(
                customer_id=customer_id, merchant_name="华强通讯", merchandise="手机", **terms
            ),
            disclosure_id=disclosure_id,
            key="loan-1",
            now=now,
        )
    return Book(runtime=runtime, customer_id=customer_id, loan_id=loan_id)


def _cash(rows: Sequence[Any], entry_id: int) -> int:
    legs = [
        leg for entry, leg in rows if entry.id == entry_id and leg.account == servicing.CLEARING
    ]
    return sum(leg.amount_fen for leg in legs)


@dataclass(frozen=True)
class Notices:
    """Makes notifies as the platform does, and sends them to the app."""

    runtime: Runtime
    client: Any
    settings: Settings

    def make(
        self,
        resource: Mapping[str, Any],
        *,
        event_type: str = "TRANSACTION.SUCCESS",
        notice_id: str = "",
        at: datetime | None = None,
        is_tag_broken: bool = False,
        body: str = "",
    ) -> tuple[dict[str, str], bytes]:
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.settings.pay_api_v3_key.encode()).encrypt(
            nonce.encode(), json.dumps(resource).encode(), b"transaction"
        )
        if is_tag_broken:
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        body = body or json.dumps(
            {
                "id": notice_id or secrets.token_hex(16),
                "event_type": event_type,
                "resource_type": "encrypt-resource",
                "resource": {
                    "algorithm": "AEAD_AES_256_GCM",
                    "ciphertext": b64encode(sealed).decode(),
                    "associated_data": "transaction",
                    "nonce": nonce,
                },
            }
        )
        timestamp = str(int((at or self.runtime.clock.now()).timestamp()))
        message = f"{timestamp}\n{nonce}\n{body}\n"
        headers = {
            "Content-Type": "application/json",
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": self.settings.pay_public_key_id,
            "Wechatpay-Signature": sign(
                message=message, private_key=development.PLATFORM_PRIVATE_KEY
            ),
            "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        }
        return headers, body.encode()

    def send(self, resource: Mapping[str, Any], *, path: str = "/pay/notify", **kind: Any) -> Any:
        headers, body = self.make(resource, **kind)
        return self.client.post(path, headers=headers, data=body)


@pytest.fixture
def notices(runtime: Runtime, settings: Settings) -> Notices:
    """Return the platform's hand, before an app with our views."""
    app = create_base_app(runtime)
    app.register_blueprint(views.blueprint)
    return Notices(runtime=runtime, client=app.test_client(), settings=settings)


def transaction(fact: PaymentFact, **changes: Any) -> dict[str, Any]:
    """Spell a paid fact as the platform's transaction resource."""
    assert fact.success_at is not None
    values: dict[str, Any] = {
        "appid": fact.appid,
        "mchid": fact.mchid,
        "out_trade_no": fact.out_trade_no,
        "transaction_id": fact.transaction_id,
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "success_time": shanghai(fact.success_at).isoformat(timespec="seconds"),
        "payer": {"openid": "oPayer"},
        "amount": {"total": fact.total_fen, "payer_total": fact.total_fen, "currency": "CNY"},
    }
    return values | changes


@pytest.fixture(name="transaction")
def transaction_fixture() -> Callable[..., dict[str, Any]]:
    """Return the function that spells facts."""
    return transaction
