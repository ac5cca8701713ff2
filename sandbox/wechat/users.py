"""Followers and human customer service of the account. Nobody here is a customer of ours."""

from collections.abc import Mapping
from typing import Any

from sandbox.wechat.errors import Refused
from sandbox.world import World

STAFF = (
    {"kf_account": "xiaofen@fenqi", "kf_nick": "小芬", "kf_id": "1001", "kf_headimgurl": ""},
    {"kf_account": "xiaoqi@fenqi", "kf_nick": "小琪", "kf_id": "1002", "kf_headimgurl": ""},
)


def followers(world: World) -> list[str]:
    """Return the openids that follow the account: the demo people and whoever wrote to it."""
    known = [person["openid"] for person in world.book.people()]
    known += [openid for openid in world.account.seen if openid not in set(known)]
    return [openid for openid in known if openid not in world.account.unfollowed]


def user_info(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /cgi-bin/user/info; names and pictures are empty, as since 2021."""
    openid = query.get("openid", "")
    if not openid:
        raise Refused(40003)
    if openid not in followers(world):
        return {"subscribe": 0, "openid": openid}
    since = world.account.seen.get(openid, world.now())
    return {
        "subscribe": 1,
        "openid": openid,
        "nickname": "",
        "sex": 0,
        "language": "zh_CN",
        "city": "",
        "province": "",
        "country": "",
        "headimgurl": "",
        "subscribe_time": int(since.timestamp()),
        "remark": "",
        "groupid": 0,
        "tagid_list": [],
        "subscribe_scene": "ADD_SCENE_QR_CODE",
        "qr_scene": 0,
        "qr_scene_str": "",
    }


def user_list(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /cgi-bin/user/get, 10,000 at a time."""
    everyone = followers(world)
    after = query.get("next_openid", "")
    start = everyone.index(after) + 1 if after in everyone else 0
    page = everyone[start : start + 10_000]
    answer: dict[str, Any] = {"total": len(everyone), "count": len(page)}
    if page:
        answer["data"] = {"openid": page}
    return answer | {"next_openid": page[-1] if page else ""}


def staff_list(_world: World, _query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /cgi-bin/customservice/getkflist."""
    return {"kf_list": [dict(person) for person in STAFF]}


def staff_online(world: World, _query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /cgi-bin/customservice/getonlinekflist."""
    taken = [session["kf_account"] for session in world.account.sessions.values()]
    online = [
        {
            "kf_account": person["kf_account"],
            "status": 1,
            "kf_id": person["kf_id"],
            "accepted_case": taken.count(person["kf_account"]),
        }
        for person in STAFF
    ]
    return {"kf_online_list": online}


def open_session(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer POST /customservice/kfsession/create."""
    account, openid = str(body.get("kf_account")), str(body.get("openid") or "")
    if account not in {person["kf_account"] for person in STAFF}:
        raise Refused(65401)
    held = world.account.sessions.get(openid)
    if held is not None and held["kf_account"] != account:
        raise Refused(65415)
    world.account.waiting.pop(openid, None)
    world.account.sessions[openid] = {
        "kf_account": account,
        "createtime": int(world.now().timestamp()),
    }
    world.journal.add("human", at=world.now(), openid=openid, content={"event": "open"})
    return {"errcode": 0, "errmsg": "ok"}


def close_session(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer POST /customservice/kfsession/close."""
    openid = str(body.get("openid") or "")
    if world.account.sessions.pop(openid, None) is None:
        raise Refused(65413)
    world.journal.add("human", at=world.now(), openid=openid, content={"event": "close"})
    return {"errcode": 0, "errmsg": "ok"}


def session_of(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /customservice/kfsession/getsession."""
    held = world.account.sessions.get(query.get("openid", ""), {"kf_account": "", "createtime": 0})
    return {"errcode": 0, "errmsg": "ok"} | held


def waiting_cases(world: World, _query: Mapping[str, str]) -> dict[str, Any]:
    """Answer GET /customservice/kfsession/getwaitcase."""
    cases = [
        {"latest_time": int(since.timestamp()), "openid": openid}
        for openid, since in world.account.waiting.items()
    ]
    return {"count": len(cases), "waitcaselist": cases}
