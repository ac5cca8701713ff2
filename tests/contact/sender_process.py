"""A sender as a process of its own, so that a test can kill it; not a test itself."""

import sys
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from redis import Redis

from assembly import build_cipher
from contact import operations
from contact.channels.sms import AliyunSms
from contact.channels.wechat import WeChatClient
from contact.ports import Debt, Holds, SmsProvider, Standing, StillDue, WeChatApi
from kernel.clock import FixedClock
from kernel.database import Database
from kernel.runtime import Runtime
from kernel.settings import Settings


class Everybody:
    """Everybody owes and nobody is on hold."""

    def debts(self, _session: Any, *, customer_ids: Any, purpose: str, on: date) -> Any:
        debt = Debt(ref="L", label="手机分期", amount_fen=100, due_on=on, days_past_due=0)
        return dict.fromkeys(customer_ids, (debt,))

    def held(self, _session: Any, *, customer_ids: Any, at: datetime) -> Any:
        return {}


def main(database_url: str, redis_url: str, provider_url: str, now: str) -> None:
    settings = replace(
        Settings.from_env({"REDIS_URL": redis_url}),
        wechat_api_base=f"{provider_url}/wechat",
        sms_api_base=f"{provider_url}/sms/",
    )
    runtime = Runtime(
        settings=settings,
        database=Database(database_url),
        redis=Redis.from_url(redis_url),
        clock=FixedClock(datetime.fromisoformat(now)),
        cipher=build_cipher(settings),
    )
    for port in (StillDue, Holds, Standing):
        runtime.provide(port, Everybody())
    runtime.provide(WeChatApi, WeChatClient(settings=settings, redis=runtime.redis))
    runtime.provide(SmsProvider, AliyunSms(settings=settings, clock=runtime.clock))
    while operations.send_batch(runtime, limit=100).claimed:
        runtime.clock.advance(timedelta(milliseconds=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
