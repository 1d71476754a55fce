from typing import Any, Callable, Literal, Sequence, TypeVar, overload

from viztracer.tracer import VizTracer

_F = TypeVar("_F", bound=Callable[..., Any])

class Watched:
    def __init__(
        self,
        tracer: VizTracer | None,
        name: str = "",
        trigger_on_change: bool = True,
        include_attributes: Sequence[str] = (),
        exclude_attributes: Sequence[str] = (),
    ) -> None: ...
    def __getattr__(self, name: str) -> Any: ...  # what the program has assigned
    def log(self) -> None: ...
    def config(self, key: Literal["trigger_on_change", "include_attributes", "exclude_attributes"], value: Any) -> None: ...
    @overload
    @staticmethod
    def triggerlog(function: _F, when: Literal["after", "before", "both"] = "after") -> _F: ...
    @overload
    @staticmethod
    def triggerlog(function: None = None, when: Literal["after", "before", "both"] = "after") -> Callable[[_F], _F]: ...
