import threading
from collections.abc import Callable
from typing import Any

import pytest
from patience import PATIENCE_S, turns

from bot import phrases, replies, timing
from bot.dialogue import Reply
from bot.memory import Memory
from bot.messages import Message
from kernel.errors import Conflict
from kernel.runtime import Runtime

Told = Callable[[str], list[dict[str, Any]]]

LONG = "\n".join(f"{number}. " + "很长的一行" * 10 for number in range(60))


def message(openid: str) -> Message:
    fields = {"FromUserName": openid, "ToUserName": "g", "MsgType": "text", "Content": "x"}
    return Message(fields=fields | {"MsgId": "1", "CreateTime": "1"})


def wait_for(told: Told, count: int) -> list[str]:
    for _ in turns():
        if len(told("late_reply")) == count:
            break
    return [facts["text"] for facts in told("late_reply")]


@pytest.fixture
def answer(runtime: Runtime, openid: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Answer a message by a handler of the test's own, within some seconds."""

    def answer(handle: Any, *, within_s: float = PATIENCE_S) -> str:
        monkeypatch.setattr(timing.dialogue, "answer", lambda *_args, **_kwargs: handle())
        return timing.answer_in_time(
            runtime,
            Memory(runtime.redis, runtime.cipher),
            message(openid),
            awaiting="",
            now=runtime.clock.now(),
            within_s=within_s,
        )

    return answer


class TestAnswerInTime:
    def test_a_ready_answer_is_the_reply(self, answer: Any, told: Told) -> None:
        assert "快" in answer(lambda: Reply(text="快"))
        assert told("late_reply") == []

    def test_a_slow_answer_follows_as_a_message(self, answer: Any, told: Told) -> None:
        go = threading.Event()

        def slow() -> Reply:
            go.wait(PATIENCE_S)
            return Reply(text="慢")

        assert answer(slow, within_s=0.05) == "success"
        assert told("late_reply") == []
        go.set()
        assert wait_for(told, 1) == ["慢"]

    def test_a_late_hand_over_asks_to_say_it_again(self, answer: Any, told: Told) -> None:
        go = threading.Event()

        def slow() -> Reply:
            go.wait(PATIENCE_S)
            return Reply(hands_over=True)

        assert answer(slow, within_s=0.05) == "success"
        go.set()
        assert wait_for(told, 1) == [phrases.HAND_OVER_LATE]

    def test_what_does_not_fit_one_reply_follows_as_messages(self, answer: Any, told: Told) -> None:
        said = answer(lambda: Reply(text=LONG))
        rest = wait_for(told, 2)
        assert len(rest) == 2
        assert all(len(text.encode()) <= replies.TEXT_BYTES for text in rest)
        assert "0. 很长" in said

    def test_a_refusal_is_told_in_its_own_words(self, answer: Any) -> None:
        def refuse() -> Reply:
            raise Conflict("no")

        assert Conflict.message_zh in answer(refuse)

    def test_an_accident_is_an_apology(self, answer: Any) -> None:
        def fail() -> Reply:
            raise ZeroDivisionError

        assert phrases.BUSY in answer(fail)

    def test_nothing_to_say_is_success(self, answer: Any) -> None:
        assert answer(Reply) == "success"
