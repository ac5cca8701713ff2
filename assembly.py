"""Builds a process's runtime out of its settings, for the three composition roots.

It gives lower areas the ports they ask for, and starts nothing: no thread, no connection.
"""

from redis import Redis

from contact.channels.sms import AliyunSms
from contact.channels.wechat import WeChatClient
from contact.ports import Holds, SmsProvider, Standing, StillDue, WeChatApi
from kernel.clock import Clock, MovableClock, SystemClock
from kernel.crypto import FieldCipher
from kernel.database import Database
from kernel.runtime import Runtime
from kernel.settings import Settings
from risk.decisions.house import HouseDecide
from risk.evidence.house import house_subsystems
from risk.operations import grade_accounts
from risk.ports import Applications, ProductPrices, Subsystems
from servicing.answers import ApplicationBook, DebtBook, HoldBook, PriceBook, StandingBook
from servicing.payments.clients import WeChatPayProvider
from servicing.payments.ports import PayProvider
from servicing.ports import Decide, DeclinesAnyway, GradeAccounts

_REDIS_TIMEOUT_S = 5


def build_cipher(settings: Settings) -> FieldCipher:
    """Make the cipher of personal fields."""
    return FieldCipher(
        settings.field_key_bytes(),
        current=settings.field_key_current,
        index_key=settings.index_key.encode(),
    )


def build_runtime(settings: Settings) -> Runtime:
    """Make a process's runtime; `redis_url` must be set by now."""
    database = Database(settings.database_url)
    clock: Clock = MovableClock(database) if settings.is_development else SystemClock()
    redis = Redis.from_url(
        settings.redis_url, socket_connect_timeout=_REDIS_TIMEOUT_S, health_check_interval=30
    )
    runtime = Runtime(
        settings=settings,
        database=database,
        redis=redis,
        clock=clock,
        cipher=build_cipher(settings),
    )
    runtime.provide(StillDue, DebtBook())
    runtime.provide(Holds, HoldBook())
    runtime.provide(Standing, StandingBook())
    runtime.provide(Applications, ApplicationBook())
    runtime.provide(ProductPrices, PriceBook())
    judge = HouseDecide(runtime)
    runtime.provide(Decide, judge)
    runtime.provide(DeclinesAnyway, judge.declines_anyway)
    runtime.provide(Subsystems, house_subsystems(settings, clock))
    runtime.provide(GradeAccounts, grade_accounts)
    runtime.provide(WeChatApi, WeChatClient(settings=settings, redis=redis))
    runtime.provide(SmsProvider, AliyunSms(settings=settings, clock=clock))
    runtime.provide(PayProvider, WeChatPayProvider(settings))
    return runtime
