"""`python -m initcheck`: the `initcheck` command, if its script is not on the path."""

import sys

from initcheck.cli.main import main

sys.exit(main())
