"""Puts a document on paper: an HTML template of `paper/`, laid out as a PDF.

The layout library and its fonts are loaded when the first document is printed, so that a process
that prints none carries none of it. It reads nothing from the network or from any file.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kernel.clock import shanghai
from kernel.errors import Unavailable
from kernel.money import yuan


class PrinterMissing(Unavailable):
    """The system's layout libraries (pango) are not installed."""

    code = "printer-missing"
    message_zh = "暂时无法生成文件，请稍后再试"


def print_paper(template: str, **given: Any) -> bytes:
    """Fill a template and lay it out.

    Raises:
        PrinterMissing: Said above.
    """
    try:
        from weasyprint import HTML  # noqa: PLC0415 -- heavy, and needed by few processes
    except OSError as error:
        raise PrinterMissing("pango is not installed") from error
    text = _environment().get_template(f"{template}.html").render(**given)
    printed: bytes = HTML(string=text, url_fetcher=_refuse).write_pdf()
    return printed


@lru_cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "paper"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"yuan": yuan, "shanghai": shanghai}
    return made


def _refuse(url: str) -> Any:
    message = f"a document needs nothing from {url}"
    raise ValueError(message)
