from typing import Any, Sequence

from viztracer._watched import Watched
from viztracer.tracer import VizTracer

class VizObject(Watched):
    def __init__(
        self,
        tracer: VizTracer | None,
        name: str,
        trigger_on_change: bool = True,
        include_attributes: Sequence[str] = (),
        exclude_attributes: Sequence[str] = (),
    ) -> None: ...
    def __setattr__(self, name: str, value: Any) -> None: ...
    def __del__(self) -> None: ...
    def log(self) -> None: ...
