"""``python -m countenance``."""

from countenance.cli import main

main()
