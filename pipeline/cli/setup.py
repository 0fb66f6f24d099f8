"""``outrider setup``: the commands that make an application with least rights."""

from __future__ import annotations

import re
from typing import Annotated, Final

import typer

from connectors.clouds import CLOUDS
from pipeline.cli.output import note, print_text
from pipeline.model.errors import ConfigError
from pipeline.report.setup_commands import commands
from pipeline.report.setup_wish import CREDENTIALS, Wish
from pipeline.runtime.config_collect import Collect

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_USUAL: Final = ("graph_signins", "directory_audits", "activity", "service_health", "status_page")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@app.command()
def setup(
    *,
    cloud: Annotated[
        str, typer.Option(metavar="|".join(CLOUDS), help="Microsoft cloud of the tenant.")
    ] = "public",
    sources: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="What is to be read, of "
            + ", ".join(Collect.model_fields)
            + f". Default: {','.join(_USUAL)}.",
        ),
    ] = None,
    credential: Annotated[
        str,
        typer.Option(metavar="|".join(CREDENTIALS), help="How the application signs in."),
    ] = "certificate",
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="Tenant, by its id. Default: your own.")
    ] = None,
    name: Annotated[
        str, typer.Option(metavar="NAME", help="Of the application, for administrators.")
    ] = "outrider",
) -> None:
    """Print the Azure CLI commands that give Outrider access, and the configuration.

    Nothing is run: read the commands, change them, and run them yourself. They ask for the
    rights that the sources need and for no others.
    """
    found = next((c for c in CLOUDS if c == cloud), None)
    if found is None:
        raise ConfigError(f"--cloud: {cloud!r} is none of {', '.join(CLOUDS)}")
    way = next((c for c in CREDENTIALS if c == credential), None)
    if way is None:
        raise ConfigError(f"--credential: {credential!r} is none of {', '.join(CREDENTIALS)}")
    if tenant is not None and not _GUID.fullmatch(tenant):
        raise ConfigError(
            f"--tenant: {tenant!r} is no tenant's id; leave it out, and 'az account show' tells it"
        )
    if not _NAME.fullmatch(name):
        raise ConfigError("--name: letters, digits, dots and dashes only, 64 at most")
    chosen = _chosen(sources)
    if CLOUDS[found].activity is None and "activity" in chosen:
        if sources is not None:
            raise ConfigError(
                f"--sources: the cloud {found} offers no Management Activity API; leave activity "
                "out"
            )
        chosen.remove("activity")
        note(f"the cloud {found} offers no Management Activity API: activity is left out")
    print_text(commands(Wish(found, chosen, way, tenant, name)))


def _chosen(sources: str | None) -> list[str]:
    if sources is None:
        return list(_USUAL)
    known = list(Collect.model_fields)
    names = [n.strip() for n in sources.split(",") if n.strip()]
    for wrong in (n for n in names if n not in known):
        raise ConfigError(f"--sources: {wrong!r} is none of {', '.join(known)}")
    if not names:
        raise ConfigError(f"--sources: name one or more of {', '.join(known)}")
    return [n for n in known if n in names]
