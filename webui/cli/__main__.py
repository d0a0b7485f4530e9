"""`python -m webui.cli` is `cadenza`."""

from webui.cli import main

main(prog_name="cadenza")
