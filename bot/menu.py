"""The official account's menu, and how it is published.

Names stay within 16 and 40 bytes, keys are intents' names; the dialogue answers the keys.
"""

from typing import Any

from bot.understanding import Intent
from contact.ports import WeChatApi
from kernel.runtime import Runtime


def menu(base_url: str) -> dict[str, Any]:
    """Describe the menu as the platform takes it."""
    return {
        "button": [
            {"type": "click", "name": "我的分期", "key": Intent.PROGRESS.value},
            {"type": "view", "name": "去还款", "url": f"{base_url}/h5/repay"},
            {
                "name": "更多",
                "sub_button": [
                    {"type": "click", "name": "下一期", "key": Intent.NEXT_DUE.value},
                    {"type": "click", "name": "金额怎么算", "key": Intent.WHY_AMOUNT.value},
                    {"type": "view", "name": "绑定账号", "url": f"{base_url}/h5/bind"},
                    {"type": "click", "name": "人工服务", "key": Intent.HUMAN.value},
                ],
            },
        ]
    }


def publish_menu(runtime: Runtime) -> None:
    """Replace the account's menu by ours; safe to repeat.

    Raises:
        WeChatError: WeChat refused it.
    """
    runtime.get(WeChatApi).create_menu(menu(runtime.settings.public_base_url))
