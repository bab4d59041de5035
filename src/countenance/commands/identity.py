"""``countenance identity``: who signs, and who is trusted."""

from __future__ import annotations

import click

from countenance.commands.installation import COMMANDS
from countenance.commands.named import NAMED
from countenance.commands.terminal import InOrder

__all__ = ["identity"]


@click.group(cls=InOrder, short_help="Who signs here, and who is trusted.")
def identity() -> None:
    """How this installation signs, which authorities it trusts, and who attests recordings under their own name.

    \b
    Examples:
      countenance identity show
      countenance identity trust newsroom-authority.crt
      countenance identity new "Ida Holm"
    """


for _command in (*COMMANDS, *NAMED):
    identity.add_command(_command)
