"""What all areas together plug into the workplace."""

import re
from pathlib import Path

from workplace import House

import desk
from desk.views.gate import unmarked_endpoints

SYMBOLS = set(
    re.findall(r'id="([a-z]+)"', (Path(desk.__file__).parent / "static/icons.svg").read_text())
)


def test_every_page_under_admin_says_who_may_open_it(workplace: House) -> None:
    assert unmarked_endpoints(workplace.app) == ()


def test_every_link_leads_to_a_page_with_the_same_permission(workplace: House) -> None:
    for item in workplace.site.navigation:
        view = workplace.app.view_functions[item.endpoint]
        assert vars(view)["staff_permission"] == item.permission
        assert item.icon in SYMBOLS


def test_every_permission_that_is_asked_for_is_declared(workplace: House) -> None:
    site = workplace.site
    asked = {tile.permission for tile in site.tiles}
    asked |= {act.permission_propose for act in site.approvables}
    asked |= {act.permission_decide for act in site.approvables}
    assert {code for code in asked if code not in site.permissions} == set()
