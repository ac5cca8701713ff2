"""What the `fenqi product` commands do: they read files and call servicing's operations."""

from datetime import date
from pathlib import Path
from typing import Any

from desk.queries import document_in_force, document_version
from kernel.clock import business_date
from kernel.runtime import Runtime
from servicing import operations
from servicing.product_document import located, read_document, write_document
from servicing.product_form import Problem
from servicing.product_setup import set_up
from servicing.products import ProductRefused, read_product
from servicing.queries import ProductNotFound
from servicing.queries.products import KIND

__all__ = ("ProductRefused", "approve", "bring_in", "check", "take_out", "try_out")


def check(runtime: Runtime, file: Path, on: date | None) -> dict[str, Any]:
    """Hold a file against the caps of a day.

    Raises:
        ProductRefused: It may not be sold; `problems` say why, and on which line.
    """
    text = _text(file)
    document = read_document(text)
    tried = set_up(read_product(document, version=0), on=on or _today(runtime))
    if tried.problems:
        problems = located(tried.problems, text)
        raise ProductRefused(f"{file.name} may not be sold", problems)
    return {"code": document["code"], "may_be_sold": True, **tried.report()}


def bring_in(runtime: Runtime, file: Path, author: str, note: str) -> dict[str, Any]:
    """Keep a file as the next version of the product that it names, a draft.

    Raises:
        ProductRefused: It cannot be read; `problems` say why, and on which line.
    """
    document = read_document(_text(file))
    with runtime.database.write() as session:
        version = operations.draft_product(
            session, document=document, author=author, note=note, now=runtime.clock.now()
        )
    return {"code": document["code"], "version": version, "state": "draft"}


def take_out(runtime: Runtime, code: str, version: int | None) -> str:
    """Write a version whole, the one in force today unless another is named.

    Raises:
        ProductNotFound: None is in force.
        DocumentNotFound: No such version.
    """
    with runtime.database.read() as session:
        if version is not None:
            return write_document(
                document_version(session, kind=KIND, key=code, version=version).body
            )
        found = document_in_force(session, kind=KIND, key=code, on=_today(runtime))
    if found is None:
        raise ProductNotFound(f"no version of product {code} is in force")
    return write_document(found.body)


def try_out(runtime: Runtime, code: str, version: int, by: str) -> dict[str, Any]:
    """Hold a draft against the caps; passed, it waits for approval.

    Raises:
        ProductRefused: It may not be sold; `problems` say why.
    """
    with runtime.database.write() as session:
        tried = operations.try_product(
            session, code=code, version=version, by=by, now=runtime.clock.now()
        )
    return {"code": code, "version": version, "state": "tested", **tried.report()}


def approve(runtime: Runtime, code: str, version: int, by: str, on: date | None) -> dict[str, Any]:
    """Let a tested version be sold from a day on, today unless another is named.

    Raises:
        AuthorApproves: Its author tries.
        ProductRefused: It may not be sold on that day; `problems` say why.
    """
    day = on or _today(runtime)
    with runtime.database.write() as session:
        operations.approve_product(
            session,
            code=code,
            version=version,
            by=by,
            effective_on=day,
            now=runtime.clock.now(),
        )
    return {"code": code, "version": version, "effective_on": day.isoformat()}


def _text(file: Path) -> str:
    content = file.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem(path="form", message="文件须为 UTF-8 编码", line=line)
        raise ProductRefused(f"{file.name} is no UTF-8", (problem,)) from error


def _today(runtime: Runtime) -> date:
    return business_date(runtime.clock.now())
