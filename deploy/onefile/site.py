"""What Python runs at its start, in place of its own site: the one file's packages, no others.

The host's and the user's directories for Python's modules are no part of it.
"""

import sys

ENABLE_USER_SITE = False

if not sys.flags.no_site:
    sys.path.append(f"{sys.prefix}/lib/python3.11/site-packages")
