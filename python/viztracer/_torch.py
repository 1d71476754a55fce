"""log_torch: the events of torch.profiler, in the clock of the trace."""

import json
import os
import tempfile

from viztracer._hush import hushed_class


@hushed_class
class TorchProfile(object):
    """One profile, from start() to stop(). torch: the module, which has to be there."""

    def __init__(self, torch):
        self._profiler = torch.profiler.profile(activities=torch.profiler.supported_activities())

    def start(self):
        self._profiler.start()

    def stop(self, base_time):
        """-> the events, with their ts in us of the trace. base_time: ns that make the time of day of it."""
        self._profiler.stop()
        folder = tempfile.mkdtemp(prefix="viztracer-")
        path = os.path.join(folder, "torch.json")
        try:
            self._profiler.export_chrome_trace(path)
            with open(path, encoding="utf-8") as file:
                data = json.load(file)
        finally:
            if os.path.exists(path):
                os.unlink(path)
            os.rmdir(folder)
        return list(moved(data, base_time))


def moved(data, base_time):
    """The events of torch's file. Their ts are us behind its own base, which is a time of day; of old versions the base is 0. Names of this
    process and its threads are left out, the trace has them."""
    shift = (int(data.get("baseTimeNanoseconds", 0)) - base_time) / 1000
    own = os.getpid()
    for event in data.get("traceEvents", []):
        if event.get("ph") == "M":
            if event.get("pid") != own:
                yield event
            continue
        if "ts" in event:
            event = dict(event, ts=event["ts"] + shift)
        yield event
