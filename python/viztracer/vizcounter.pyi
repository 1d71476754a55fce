from typing import Any

from viztracer._watched import Watched

class VizCounter(Watched):
    def __setattr__(self, name: str, value: Any) -> None: ...
    def log(self) -> None: ...
