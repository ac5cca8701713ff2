"""A worker that asks WeChat once, as a process of its own that starts cold; not a test itself."""

import sys
from dataclasses import replace

from redis import Redis

from contact.channels.wechat import WeChatClient
from contact.ports import WeChatError
from kernel.settings import Settings


def main(redis_url: str, api_base: str, openid: str) -> int:
    """Say ready, wait for the start, ask, and print what came of it."""
    redis = Redis.from_url(redis_url)
    settings = replace(Settings.from_env({"REDIS_URL": redis_url}), wechat_api_base=api_base)
    client = WeChatClient(settings=settings, redis=redis)
    redis.incr("ready")
    redis.blpop(["start"], timeout=60)
    try:
        told = client.get_user(openid)["openid"]
    except WeChatError as error:
        told = error.errcode
    sys.stdout.write(f"{told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
