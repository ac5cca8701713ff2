"""Who may be sent customer-service messages, and how many: rights earned by what a person does.

Times are on the development clock. Template messages have nothing to do with it.
"""

from datetime import datetime, timedelta

from sandbox.wechat.errors import Refused
from sandbox.wechat.state import Account, Grant

_TWO_DAYS = timedelta(hours=48)
_MINUTE = timedelta(minutes=1)

GRANTS: dict[str, tuple[int | None, timedelta]] = {
    "message": (5, _TWO_DAYS),
    "click": (3, _MINUTE),
    "follow": (3, _MINUTE),
    "scan": (3, _MINUTE),
    "payment": (None, _TWO_DAYS),
}


def earn(account: Account, openid: str, kind: str, *, now: datetime) -> None:
    """Renew the right that an act gives; rights of one kind do not add up."""
    left, lasts = GRANTS[kind]
    rights = account.grants.setdefault(openid, {})
    rights[kind] = Grant(kind=kind, expires_at=now + lasts, left=left)


def spend(account: Account, openid: str, *, now: datetime) -> None:
    """Use one message of the right that ends soonest.

    Raises:
        Refused: 45015 without a living right, 45047 when all of them are used up.
    """
    rights = account.grants.get(openid, {}).values()
    living = sorted((g for g in rights if g.expires_at > now), key=lambda g: g.expires_at)
    if not living or openid in account.unfollowed:
        raise Refused(45015)
    grant = next((g for g in living if g.left is None or g.left > 0), None)
    if grant is None:
        raise Refused(45047)
    if grant.left is not None:
        grant.left -= 1


def lose_all(account: Account, openid: str) -> None:
    """Take all rights away, as unfollowing does."""
    account.grants.pop(openid, None)
