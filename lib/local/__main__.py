"""`python -m lib.local`: an AWS on this machine with the programs deployed and served, until Ctrl-C."""

import os
import signal

# Until the session has its own handlers a few hundred milliseconds pass, in which Ctrl-C must not be a traceback.
signal.signal(signal.SIGINT, lambda *_: os._exit(130))

from lib.local.cli import main  # noqa: E402 - see above

raise SystemExit(main())
