"""The official account's menu, and how it is published."""

from contact.ports import WeChatApi
from kernel.runtime import Runtime


def publish_menu(runtime: Runtime) -> None:
    """Replace the account's menu by ours; safe to repeat.

    Raises:
        WeChatError: WeChat refused it.
    """
    base = f"{runtime.settings.public_base_url}/h5"
    runtime.get(WeChatApi).create_menu(
        {
            "button": [
                {"type": "click", "name": "我的分期", "key": "progress"},
                {"type": "view", "name": "去还款", "url": f"{base}/progress"},
                {
                    "name": "更多",
                    "sub_button": [
                        {"type": "click", "name": "下一期", "key": "next_due"},
                        {"type": "click", "name": "金额怎么算", "key": "why_amount"},
                        {"type": "click", "name": "人工服务", "key": "human"},
                    ],
                },
            ]
        }
    )
