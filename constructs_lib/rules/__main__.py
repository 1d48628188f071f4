"""``python -m constructs_lib.rules``."""

import sys

from constructs_lib.rules.cli import main

sys.exit(main())
