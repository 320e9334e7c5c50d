"""`python -m m2aenet_core.benchmark` is `m2aenet benchmark`."""

import sys

from m2aenet_core.benchmark.command import main

sys.exit(main())
