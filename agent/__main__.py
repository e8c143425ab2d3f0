"""``python -m agent`` is ``tallyman``."""

import sys

# In words that every Python understands: a clone that an old one runs would end in a traceback.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "tallyman: needs Python 3.11 or newer, and this is {}.{}\n".format(*sys.version_info)
    )
    sys.exit(2)

from agent.cli.main import main

sys.exit(main())
