"""Accounts of staff, for administrators: create, roles, disable, a new password.

Temporary passwords are made here, shown once, and must be changed at the first login.
"""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from desk import operations, queries
from desk.model import STAFF
from desk.operations import StaffNotFound
from desk.ports import Role, staff_page
from desk.views.shell import member, site
from kernel.errors import FenqiError
from kernel.ids import new_token
from kernel.web import now, runtime


def add_to(blueprint: Blueprint) -> None:
    """Put these pages on the blueprint."""
    add = blueprint.add_url_rule
    add("/admin/staff", "staff", staff)
    add("/admin/staff", "create_staff", create, methods=["POST"])
    add("/admin/staff/<int:staff_id>", "staff_member", staff_member)
    add("/admin/staff/<int:staff_id>/roles", "staff_roles", roles, methods=["POST"])
    add("/admin/staff/<int:staff_id>/active", "staff_active", active, methods=["POST"])
    add("/admin/staff/<int:staff_id>/password", "staff_password", password, methods=["POST"])


@staff_page(STAFF)
def staff() -> ResponseReturnValue:
    """List all staff."""
    return _list_page()


@staff_page(STAFF)
def create() -> ResponseReturnValue:
    """Create an account with a temporary password."""
    temporary = _temporary_password()
    login = request.form.get("login", "").strip().lower()
    try:
        with runtime().database.write() as session:
            operations.create_staff(
                session,
                login=login,
                name=request.form.get("name", ""),
                password=temporary,
                roles=request.form.getlist("roles"),
                now=now(),
                created_by=member().login,
                is_temporary=True,
            )
    except FenqiError as error:
        return _list_page(error=gettext(error.message_zh)), error.status
    return _list_page(issued=(login, temporary))


@staff_page(STAFF)
def staff_member(staff_id: int) -> ResponseReturnValue:
    """Show one account and what its roles permit."""
    return _member_page(staff_id)


@staff_page(STAFF)
def roles(staff_id: int) -> ResponseReturnValue:
    """Replace an account's roles."""
    with runtime().database.write() as session:
        operations.set_roles(
            session,
            staff_id=staff_id,
            roles=request.form.getlist("roles"),
            by=member().login,
            now=now(),
        )
    flash(gettext("角色已更新，该员工需要重新登录"), "success")
    return redirect(url_for("desk.staff_member", staff_id=staff_id))


@staff_page(STAFF)
def active(staff_id: int) -> ResponseReturnValue:
    """Disable an account or open it again."""
    is_active = request.form.get("active") == "yes"
    with runtime().database.write() as session:
        operations.set_active(
            session, staff_id=staff_id, is_active=is_active, by=member().login, now=now()
        )
    flash(gettext("账号已启用") if is_active else gettext("账号已停用"), "success")
    return redirect(url_for("desk.staff_member", staff_id=staff_id))


@staff_page(STAFF)
def password(staff_id: int) -> ResponseReturnValue:
    """Give an account a temporary password and show it once."""
    temporary = _temporary_password()
    with runtime().database.write() as session:
        operations.reset_password(
            session, staff_id=staff_id, password=temporary, by=member().login, now=now()
        )
    return _member_page(staff_id, issued=temporary)


def _list_page(*, error: str = "", issued: tuple[str, str] | None = None) -> str:
    with runtime().database.read() as session:
        found = queries.staff_list(session)
    return render_template(
        "desk/staff.html",
        staff=found,
        roles=tuple(Role),
        error=error,
        issued=issued,
        form=request.form,
        at=now(),
    )


def _member_page(staff_id: int, *, issued: str = "") -> str:
    with runtime().database.read() as session:
        found = queries.staff_view(session, staff_id=staff_id)
    if found is None:
        raise StaffNotFound("no such member of staff")
    permissions = [
        permission for permission in site().permissions if permission.roles & found.roles
    ]
    return render_template(
        "desk/staff_member.html",
        person=found,
        roles=tuple(Role),
        permissions=permissions,
        issued=issued,
        is_self=found.login == member().login,
        at=now(),
    )


def _temporary_password() -> str:
    return new_token(12)
