"""`python -m lastgood_cli`: the operator's command."""

from lastgood_cli.main import main

main()
