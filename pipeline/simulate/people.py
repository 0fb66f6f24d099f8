"""Names for the tenant's people; drawn by seed, unlike anybody real only by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

DOMAIN: Final = "contoso.example"

# fmt: off
_FIRST: Final = (
    "Anna", "Bernd", "Carla", "David", "Elif", "Felix", "Greta", "Hannes", "Ines", "Jonas",
    "Katrin", "Lukas", "Marta", "Niklas", "Oksana", "Paul", "Quirin", "Ruth", "Stefan",
    "Theresa", "Ulrich", "Vera", "Wanda", "Xaver", "Yasmin", "Zoe", "Aaron", "Bridget",
    "Caleb", "Denise", "Ethan", "Fiona", "Gordon", "Hazel", "Ian", "Jocelyn", "Kevin",
    "Lauren", "Mason", "Nora", "Owen", "Paige", "Quentin", "Rebecca", "Sean", "Tamara",
    "Ursula", "Victor", "Whitney", "Zachary", "Mehmet", "Leyla", "Piotr", "Agnieszka", "Tomas",
    "Ivana", "Luca", "Giulia", "Noor", "Rahul", "Priya", "Chen", "Mei", "Kofi",
)
# fmt: on
# fmt: off
_LAST: Final = (
    "Albrecht", "Baumann", "Conrads", "Dietrich", "Eberhardt", "Falkner", "Gerlach", "Hartwig",
    "Immel", "Jansen", "Kessler", "Lindner", "Mertens", "Neumeier", "Oberhauser", "Petersen",
    "Quandt", "Reinhold", "Sauer", "Thalmann", "Ullmann", "Vollmer", "Wegener", "Zeller",
    "Abbott", "Brennan", "Calloway", "Donovan", "Ellsworth", "Fairbanks", "Garrison",
    "Holloway", "Ingram", "Jefferson", "Kensington", "Langley", "Merriweather", "Norwood",
    "Ortega", "Prescott", "Quimby", "Rutherford", "Sinclair", "Thornton", "Underwood", "Vance",
    "Whitfield", "Yardley", "Yilmaz", "Demir", "Kowalski", "Nowak", "Novak", "Horvat", "Rossi",
    "Bianchi", "Okafor", "Sharma", "Patel", "Zhang", "Lindqvist", "Haraldsen", "Moreau",
    "Castellano",
)
# fmt: on
# fmt: off
SERVICES: Final = (
    "invoices", "scanner.floor2", "crm.connector", "helpdesk", "monitoring", "orders",
    "backup.mail", "fax.gateway", "payroll.import", "shop.notify",
)
# fmt: on
# Names sprayers guess that nobody here has.
GHOSTS: Final = ("admin", "test", "info.office", "j.smith", "sales2", "it.support", "ceo", "scan")


def names(rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Draw ``count`` distinct (display name, mailbox name before the @)."""
    taken: dict[str, int] = {}
    out = []
    first = rng.integers(len(_FIRST), size=count)
    last = rng.integers(len(_LAST), size=count)
    for i, j in zip(first.tolist(), last.tolist(), strict=True):
        local = f"{_FIRST[i]}.{_LAST[j]}".lower()
        taken[local] = taken.get(local, 0) + 1
        if taken[local] > 1:
            local = f"{local}{taken[local]}"
        out.append((f"{_FIRST[i]} {_LAST[j]}", local))
    return out
