"""The overdue board: who is late and by how much, the list behind it, and a file of that list.

It only reads the book; the one thing it adds is that somebody took a copy.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from flask import Blueprint, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup

from desk.operations import append_audit
from desk.ports import NavItem, Site, Tile, current_staff, staff_page
from kernel.listing import csv_file, page_of
from kernel.money import plain_yuan
from kernel.web import now, runtime, today
from servicing import queries
from servicing.admin import words
from servicing.admin.shown import masked_names, percent
from servicing.queries import BucketLine, OverdueBoard, OverdueLoan

VIEW: Final = "servicing.board.view"
EXPORT: Final = "servicing.board.export"

COLOURS: Final = (
    *("#2f9e6e", "#f2c14e", "#f0a429", "#e8833a"),
    *("#dc6045", "#c44649", "#a2374a", "#742c40"),
)
"""From green to deep red, one for each bucket M0 to M6+."""

_PRINCIPAL_COLOUR: Final = "#c5ccd6"
_FAINT: Final = "0.3"
_CHUNK: Final = 500


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    blueprint.add_url_rule("/admin/overdue", "overdue", overdue)
    blueprint.add_url_rule(
        "/admin/overdue/export", "overdue_export", overdue_export, methods=["POST"]
    )


def plug_in(site: Site) -> None:
    """Put the board, its right to be copied, and its tiles on a site."""
    everyone = ("collector", "risk_analyst", "risk_manager", "finance", "auditor")
    site.permissions.declare(VIEW, "查看逾期看板", roles=everyone)
    site.permissions.declare(EXPORT, "导出逾期清单", roles=("risk_manager", "finance"))
    site.navigation.add(
        NavItem(
            label="逾期看板",
            endpoint="servicing_admin.overdue",
            permission=VIEW,
            group="业务",
            order=300,
            icon="chart",
        )
    )
    site.tiles.add(
        Tile(key="servicing.overdue", permission=VIEW, order=10, render=_overdue_tile),
        Tile(key="servicing.aging", permission=VIEW, order=50, render=_aging_tile, width=8),
    )


@staff_page(VIEW)
def overdue() -> ResponseReturnValue:
    """Show the book by lateness, and the late loans of one bucket or all."""
    bucket = request.args.get("bucket") or None
    board = _board()
    page = page_of(_listed(board, bucket))
    with runtime().database.read() as session:
        loans = queries.overdue_loans(
            session, on=today(), offset=page.offset, limit=page.rows, bucket=bucket
        )
        names = masked_names(session, [loan.customer_id for loan in loans])
    return render_template(
        "servicing/admin/board.html",
        board=board,
        loans=loans,
        names=names,
        bucket=bucket,
        page=page,
        colours=_colours(board),
        shares=_shares(board),
        percent=percent,
        words=words,
        picture=_picture(board, bucket),
        links=_links(board),
    )


@staff_page(EXPORT)
def overdue_export() -> ResponseReturnValue:
    """Stream the late loans of one bucket or all as CSV, and note that it was done."""
    bucket = request.form.get("bucket") or None
    with runtime().database.write() as session:
        queries.overdue_loans(session, on=today(), offset=0, limit=0, bucket=bucket)
        append_audit(
            session,
            actor=current_staff().login,
            action="servicing.board.exported",
            subject="board:overdue",
            details={"on": today(), "bucket": bucket or "all"},
            now=now(),
        )
    return csv_file(f"overdue-{today()}", _header(), _rows(bucket))


def _header() -> tuple[str, ...]:
    return (
        gettext("借款编号"),
        gettext("客户编号"),
        gettext("客户"),
        gettext("商品"),
        gettext("逾期天数"),
        gettext("账龄"),
        gettext("五级分类"),
        gettext("ECL 阶段"),
        gettext("宽限期已过"),
        gettext("逾期金额（元）"),
        gettext("待还本金（元）"),
    )


def _rows(bucket: str | None) -> Iterator[tuple[str, ...]]:
    with runtime().database.read() as session:
        loans = queries.each_overdue_loan(session, on=today(), bucket=bucket)
        while chunk := list(islice(loans, _CHUNK)):
            names = masked_names(session, [loan.customer_id for loan in chunk])
            yield from (_cells(loan, names[loan.customer_id]) for loan in chunk)


def _cells(loan: OverdueLoan, name: str) -> tuple[str, ...]:
    return (
        loan.loan_no,
        str(loan.customer_id),
        name,
        loan.merchandise,
        str(loan.days_past_due),
        loan.bucket,
        str(words.word(words.FIVE_CLASSES, loan.five_class)[0]),
        str(loan.ecl_stage),
        words.value(loan.is_overdue),
        plain_yuan(loan.overdue_fen),
        plain_yuan(loan.principal_fen),
    )


# --- tiles ---


def _overdue_tile() -> Markup:
    return Markup(  # noqa: S704 -- our own template
        render_template("servicing/admin/overdue_tile.html", board=_board(), percent=percent)
    )


def _aging_tile() -> Markup:
    board = _board()
    return Markup(  # noqa: S704 -- our own template
        render_template(
            "servicing/admin/aging_tile.html", picture=_picture(board, None), links=_links(board)
        )
    )


def _board() -> OverdueBoard:
    """Return the board of today, counted once a request."""
    if "overdue_board" not in g:
        with runtime().database.read() as session:
            g.overdue_board = queries.overdue_board(session, on=today())
    board: OverdueBoard = g.overdue_board
    return board


# --- the picture ---


def _late_lines(board: OverdueBoard) -> tuple[BucketLine, ...]:
    return board.buckets[1:]


def _listed(board: OverdueBoard, bucket: str | None) -> int:
    return sum(line.loans for line in _late_lines(board) if bucket in (None, line.bucket))


def _colours(board: OverdueBoard) -> dict[str, str]:
    return {line.bucket: colour for line, colour in zip(board.buckets, COLOURS, strict=True)}


def _shares(board: OverdueBoard) -> dict[str, str]:
    whole = max(1, board.principal_fen)
    return {line.bucket: percent(Decimal(line.principal_fen) / whole) for line in board.buckets}


def _links(board: OverdueBoard) -> list[str]:
    """Say where a click on each bar leads."""
    return [
        url_for("servicing_admin.overdue", bucket=line.bucket, _anchor="loans")
        for line in _late_lines(board)
    ]


def _picture(board: OverdueBoard, bucket: str | None) -> dict[str, Any]:
    """Draw loans on the left and amounts on the right, a bar for each late bucket."""
    lines = _late_lines(board)
    styles = [
        {"color": colour, "opacity": 1 if bucket in (None, line.bucket) else _FAINT}
        for line, colour in zip(lines, COLOURS[1:], strict=True)
    ]
    axis = {
        "type": "category",
        "data": [line.bucket for line in lines],
        "axisTick": {"show": False},
    }
    quiet = {"lineStyle": {"type": "dashed", "color": "#e3e8ee"}}
    return {
        "tooltip": {"trigger": "item"},
        "title": [
            _title(gettext("逾期笔数"), "0%"),
            _title(gettext("逾期金额与待还本金（元）"), "44%"),
        ],
        "grid": [
            {"left": 4, "right": "60%", "top": 36, "bottom": 4, "containLabel": True},
            {"left": "44%", "right": 8, "top": 36, "bottom": 4, "containLabel": True},
        ],
        "legend": {"show": False},
        "xAxis": [{**axis, "gridIndex": 0}, {**axis, "gridIndex": 1}],
        "yAxis": [
            {"gridIndex": 0, "minInterval": 1, "splitLine": quiet},
            {"gridIndex": 1, "splitLine": quiet},
        ],
        "series": [
            _bars(0, gettext("逾期笔数"), [line.loans for line in lines], styles, unit=""),
            _bars(
                1,
                gettext("逾期金额"),
                [plain_yuan(line.overdue_fen) for line in lines],
                styles,
                unit="¥",
            ),
            _bars(
                1,
                gettext("待还本金"),
                [plain_yuan(line.principal_fen) for line in lines],
                [style | {"color": _PRINCIPAL_COLOUR} for style in styles],
                unit="¥",
            ),
        ],
    }


def _title(text: str, left: str) -> dict[str, Any]:
    style = {"fontSize": 13, "fontWeight": 500, "color": "#667382"}
    return {"text": text, "left": left, "top": 0, "padding": 0, "textStyle": style}


def _bars(
    grid: int, name: str, values: list[Any], styles: list[dict[str, Any]], *, unit: str
) -> dict[str, Any]:
    return {
        "type": "bar",
        "name": name,
        "xAxisIndex": grid,
        "yAxisIndex": grid,
        "barMaxWidth": 26,
        "cursor": "pointer",
        "tooltip": {"formatter": f"{{b}} · {{a}} {unit}{{c}}"},
        "data": [
            {"value": value, "itemStyle": style | {"borderRadius": [3, 3, 0, 0]}}
            for value, style in zip(values, styles, strict=True)
        ],
    }
