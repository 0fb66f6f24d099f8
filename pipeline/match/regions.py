"""Region words of advisories as countries (ISO 3166-1 alpha-2)."""

# ruff: noqa: SIM905 # two hundred codes read best as words

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# UN M49 geoscheme, territories without sign-ins of their own left out; EMEA and Asia
# Pacific as Microsoft groups them in its own region lists.
_EUROPE: Final = frozenset(
    "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU "
    "LV MC MD ME MK MT NL NO PL PT RO RS RU SE SI SK SM UA VA XK".split()
)
_MIDDLE_EAST: Final = frozenset("AE BH CY EG IL IQ IR JO KW LB OM PS QA SA SY TR YE".split())
_AFRICA: Final = frozenset(
    "AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG ER ET GA GH GM GN GQ GW KE KM LR LS LY MA MG ML MR MU "
    "MW MZ NA NE NG RE RW SC SD SL SN SO SS ST SZ TD TG TN TZ UG ZA ZM ZW".split()
)
_SOUTH_AMERICA: Final = frozenset("AR BO BR CL CO EC FK GF GY PE PY SR UY VE".split())
_CENTRAL_AMERICA: Final = frozenset(
    "AG BB BS BZ CR CU DM DO GD GT HN HT JM KN LC NI PA PR SV TT VC".split()
)

REGION_COUNTRIES: Final[dict[str, frozenset[str]]] = {
    "europe": _EUROPE,
    "middle_east": _MIDDLE_EAST,
    "africa": _AFRICA,
    "emea": _EUROPE | _MIDDLE_EAST | _AFRICA,
    "north_america": frozenset({"US", "CA", "MX"}),
    "south_america": _SOUTH_AMERICA,
    "latin_america": _SOUTH_AMERICA | _CENTRAL_AMERICA | {"MX"},
    "asia_pacific": frozenset(
        "AF AU BD BN BT CN FJ HK ID IN JP KH KR LA LK MM MN MO MV MY NC NP NZ PG PH PK SG TH TL TW "
        "VN".split()
    ),
}


def countries_of(regions: Iterable[str]) -> frozenset[str]:
    """Countries of group codes and country codes together.

    >>> sorted(countries_of(["GB", "north_america"]))
    ['CA', 'GB', 'MX', 'US']
    """
    found: set[str] = set()
    for region in regions:
        found |= REGION_COUNTRIES.get(region, frozenset({region}))
    return frozenset(found)
