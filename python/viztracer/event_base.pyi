from viztracer._watched import Watched as _EventBase

__all__ = ["_EventBase"]
