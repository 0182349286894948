"""From the parsed command line to a session, its verb and its exit code."""

from __future__ import annotations

import argparse
from contextlib import closing

from lib.deploy import targets, verbs
from lib.deploy.exits import Exit, Refused
from lib.deploy.run import Interrupts
from lib.deploy.session import Options, Session
from lib.deploy.views import view_for


def run(given: argparse.Namespace, *, of_one: bool) -> int:
    """Run the verb over the stacks it names, or over all (`of_one` is false); return its exit code."""
    values = vars(given)
    options = Options(
        env=given.env,
        yes=values.get("yes", False),
        as_json=given.as_json,
        parallel=values.get("parallel", 0),
        policy=values.get("policy"),
        affected=values.get("affected", False),
        allow_data_loss=frozenset(values.get("allow_data_loss", ())),
        import_pending=dict(values.get("import_pending", ())),
        clear_pending=frozenset(values.get("clear_pending", ())),
        confirm=values.get("confirm"),
    )
    view = view_for(as_json=given.as_json)
    interrupts = Interrupts()
    session = Session(given.verb, options, view, interrupts)
    with closing(view), interrupts.installed():
        try:
            session.targets = targets.named(given.stacks) if of_one else targets.select(given.only, given.start)
            return int(getattr(verbs, given.verb.removesuffix("_all"))(session))
        except Refused as refused:
            session.found(refused.findings)
            return session.end(refused.exit, refused.command)
        except KeyboardInterrupt:
            return session.end(Exit.CANCELLED)
        finally:
            session.tidy()
