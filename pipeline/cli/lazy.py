"""Commands are imported when they are called, so that ``--help`` is instant."""

from __future__ import annotations

import gc
import importlib
import sys
from typing import Any, Final

import typer.main
from typer.core import TyperGroup

# Command, module that holds its ``app``, and the line of help.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "demo": ("pipeline.cli.demo", "See an outage found: simulate one, read its logs, report."),
    "backfill": ("pipeline.cli.backfill", "Find the incidents in exported logs."),
    "run": ("pipeline.cli.run", "Follow logs on one machine; killed anywhere, it goes on."),
    "kafka": ("pipeline.cli.kafka", "Make the topics of a run with many workers."),
    "collect": ("pipeline.cli.collect", "Send logs to Kafka, in order of arrival."),
    "detect": ("pipeline.cli.detect", "Work on Kafka: records in, flags and incidents out."),
    "dead": ("pipeline.cli.dead", "List what could not be used, and try it again."),
    "events": ("pipeline.cli.events", "Decode the messages that collectors send."),
    "state": ("pipeline.cli.state", "Look at what is known of each tenant; export, import."),
    "deliver": ("pipeline.cli.deliver", "Work on Kafka: flags and incidents to a destination."),
    "serve": ("pipeline.cli.serve", "Serve the dashboard, and the same as JSON."),
    "simulate": ("pipeline.cli.simulate", "Write the logs of a made-up tenant, with labels."),
    "evaluate": ("pipeline.cli.evaluate", "Compare the incidents found with labels."),
    "incidents": (
        "pipeline.cli.incidents",
        "List incidents, show one in ten seconds, or explain it.",
    ),
    "report": ("pipeline.cli.report", "Report a day or a month, beside the one before it."),
    "flags": ("pipeline.cli.flags", "List what the detectors raised."),
    "advisories": ("pipeline.cli.advisories", "List advisories and what they mean for us."),
    "detect-series": ("pipeline.cli.detect_series", "Score a CSV of timestamps and values."),
    "setup": ("pipeline.cli.setup", "Print the commands that give access to Microsoft 365."),
    "check": ("pipeline.cli.check", "Try all that is configured, and say what to do."),
    "config": ("pipeline.cli.config", "Print an example configuration, or check one."),
}


class LazyGroup(TyperGroup):
    """A group that knows names and help of its commands without importing them."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        # The names alone feed the suggestions after a typo.
        self.commands.update(dict.fromkeys(COMMANDS, self))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the module of the command and give the command, or None."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, text = COMMANDS[cmd_name]
        command = typer.main.get_command(_load(module).app)
        command.name = cmd_name
        command.short_help = text
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands from the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _load(module: str) -> Any:
    """Import a command's module with all that it needs.

    Of a thousand modules nothing becomes garbage: to look for some takes a tenth of their import,
    and again of every full collection after it. Once is enough: what is garbage by a second call
    would be kept for ever.
    """
    if module in sys.modules:
        return sys.modules[module]
    gc.disable()
    try:
        return importlib.import_module(module)
    finally:
        gc.freeze()
        gc.enable()
