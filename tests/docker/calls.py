"""What the program says to a command line, without running it."""

from __future__ import annotations

import typer.main

from pipeline.cli.main import app

PORT = 9464


def refused(words):
    """Why the program would not take the words after ``outrider``; None if it takes them."""
    command, context, rest = typer.main.get_command(app), None, [str(w) for w in words]
    name = "outrider"
    try:
        while True:
            context = command.make_context(name, rest, parent=context)
            if not hasattr(command, "commands"):
                return None
            name, command, rest = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
    except Exception as error:  # noqa: BLE001 # its classes are Typer's own copy of another library
        told = getattr(error, "format_message", error.__str__)()
        return f"outrider {' '.join(map(str, words))}: {told}"


def option(words, *names):
    """The value of an option, given as ``--name=value``, or None."""
    for word in words:
        name, _, value = str(word).partition("=")
        if name in names:
            return value
    return None


def problems(words):
    """What is wrong with a role's command line."""
    found = [said] if (said := refused(words)) else []
    if words[:2] != ["kafka", "init"]:
        place = option(words, "--listen", "--bind")
        if place != f"0.0.0.0:{PORT}":
            found.append(f"{words[0]}: serves its health on {place}, and port {PORT} is asked")
    return found
