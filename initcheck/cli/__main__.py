"""`python -m initcheck.cli`: the `initcheck` command where its script is not on the path."""

import sys

from initcheck.cli.main import main

sys.exit(main())
