"""One error tree for the whole house; a concrete error lives beside the function that raises it.

    FenqiError
    ├── Unauthorized  401  nobody is logged in, or a signature is wrong
    ├── Forbidden     403  somebody is, and may not
    ├── NotFound      404  not there, or not theirs (a borrower is never told which)
    ├── Conflict      409  true a moment ago, or said differently before
    ├── Invalid       422  the input cannot be right
    ├── TooMany       429  right, but too often
    └── Unavailable   503  somebody else's fault; try again

A subclass sets `code` (stable, for programs) and `message_zh` (a sentence for a borrower), which an
error that knows more may say more exactly. This module renders nothing: kernel.web turns errors
into problem details, the bot into a reply.
"""

from collections.abc import Mapping
from typing import ClassVar, cast


class FenqiError(Exception):
    """Base of all errors that callers may want to tell apart.

    Args:
        detail: What happened, in English, for programs and logs. Never holds personal data.
        extras: Further members of the problem document, JSON-able.

    Attributes:
        retry_after_s: After how many seconds the same request may succeed, where we know.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    message_zh: str = "系统繁忙，请稍后再试"
    retry_after_s: int | None = None

    def __init__(self, detail: str = "", **extras: object) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.extras = extras


class Unauthorized(FenqiError):
    """The caller did not prove who they are."""

    status = 401
    code = "unauthorized"
    message_zh = "请先登录"


class Forbidden(FenqiError):
    """The caller is known and may not do this."""

    status = 403
    code = "forbidden"
    message_zh = "您没有权限进行此操作"


class NotFound(FenqiError):
    """There is no such thing, or it is not the caller's."""

    status = 404
    code = "not-found"
    message_zh = "没有找到相关内容"


class Conflict(FenqiError):
    """The request contradicts the present state or an earlier request."""

    status = 409
    code = "conflict"
    message_zh = "操作冲突，请刷新后重试"


class Invalid(FenqiError):
    """The input cannot be right, whatever the state."""

    status = 422
    code = "invalid"
    message_zh = "输入有误，请检查后重试"


class TooMany(FenqiError):
    """The request is right, but comes too often."""

    status = 429
    code = "too-many-requests"
    message_zh = "操作过于频繁，请稍后再试"


class Unavailable(FenqiError):
    """A part we depend on does not answer."""

    status = 503
    code = "unavailable"
    message_zh = "服务暂时不可用，请稍后再试"


class GivesReason:
    """Mixed into an error that may have several reasons, each with a sentence of its own.

    Args:
        why: Which of `reasons`; programs read it as a member of the problem document.
        detail: What happened, in English, for programs and logs.

    Attributes:
        reasons: Word → sentence in Chinese.
    """

    reasons: ClassVar[Mapping[str, str]] = {}

    def __init__(self, why: str, detail: str) -> None:
        error = cast("FenqiError", self)
        FenqiError.__init__(error, detail, why=why)
        error.message_zh = self.reasons[why]
