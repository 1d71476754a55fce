"""A server that waits in the standard library; only its own file would be on an include list."""
import selectors

import progress

selector = selectors.PollSelector()


def serve():
    progress.ready()
    while True:
        selector.select(0.2)
        progress.slots[0] += 1


serve()
