"""The platform's coded errors.

PayRefused   an HTTP status with a code and a sentence
"""


class PayRefused(Exception):
    """The platform answers an error.

    Args:
        status: HTTP status.
        code: Its stable code.
        message: Its sentence, Chinese.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def answer(self) -> dict[str, object]:
        """Return the JSON body."""
        return {"code": self.code, "message": str(self)}


_STANDARD: dict[str, tuple[int, str]] = {
    "PARAM_ERROR": (400, "参数错误"),
    "INVALID_REQUEST": (400, "201 商户订单号重复"),
    "APPID_MCHID_NOT_MATCH": (400, "appid和mch_id不匹配"),
    "ORDER_CLOSED": (400, "订单已关闭"),
    "ORDERPAID": (400, "该订单已支付"),
    "NO_STATEMENT_EXIST": (400, "账单文件不存在"),
    "STATEMENT_CREATING": (400, "账单生成中"),
    "SIGN_ERROR": (401, "签名错误"),
    "OUT_TRADE_NO_USED": (403, "商户订单号重复"),
    "NO_AUTH": (403, "商户无权限"),
    "RULE_LIMIT": (403, "业务规则限制"),
    "TRADE_ERROR": (403, "交易错误"),
    "ACCOUNT_ERROR": (403, "账号异常"),
    "NOT_ENOUGH": (403, "余额不足"),
    "ORDER_NOT_EXIST": (404, "订单不存在"),
    "RESOURCE_NOT_EXISTS": (404, "查询的资源不存在"),
    "FREQUENCY_LIMITED": (429, "频率超限，请降低请求频率"),
    "RATELIMIT_EXCEEDED": (429, "请求超过频率限制"),
    "SYSTEM_ERROR": (500, "系统异常，请用相同参数重新调用"),
}


def refusal(code: str, message: str = "") -> PayRefused:
    """Make an error by its code, with the platform's own sentence unless another is given."""
    status, standard = _STANDARD.get(code, (400, code))
    return PayRefused(status, code, message or standard)
