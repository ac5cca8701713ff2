from typing import Any

from bot.dialogue import MENU_KEYS
from bot.jobs import create_menu
from bot.menu import menu
from contact.ports import WeChatApi
from kernel.runtime import Runtime


def leaves(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [leaf for button in buttons for leaf in button.get("sub_button", [button])]


class TestMenu:
    def test_names_and_counts_are_within_the_platforms_limits(self) -> None:
        buttons = menu("https://example.com")["button"]
        assert len(buttons) <= 3
        assert all(len(button["name"].encode()) <= 16 for button in buttons)
        assert all(len(button.get("sub_button", [])) <= 5 for button in buttons)
        assert all(len(leaf["name"].encode()) <= 40 for leaf in leaves(buttons))

    def test_every_key_is_answered(self) -> None:
        keys = [leaf["key"] for leaf in leaves(menu("x")["button"]) if leaf["type"] == "click"]
        assert keys
        assert set(keys) <= set(MENU_KEYS)

    def test_is_published_with_our_address(self, runtime: Runtime) -> None:
        published: list[dict[str, Any]] = []

        class Platform:
            def create_menu(self, given: dict[str, Any]) -> None:
                published.append(given)

        runtime.provide(WeChatApi, Platform())  # type: ignore[arg-type]
        create_menu(runtime)
        assert published == [menu(runtime.settings.public_base_url)]
