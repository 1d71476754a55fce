"""Shared by victims that wait until a look of the agent has found them: 3.8 to 3.11."""
import ctypes
import sys

_version = sys.version_info[:2]
_api = ctypes.pythonapi
_api.PyThreadState_Get.restype = ctypes.c_void_p
_PROFILE_FUNCTION = 64 if _version == (3, 11) else 56  # in a thread state
if (3, 9) <= _version < (3, 12):
    _api.PyInterpreterState_Get.restype = _api._PyInterpreterState_GetEvalFrameFunc.restype = ctypes.c_void_p
    _api._PyInterpreterState_GetEvalFrameFunc.argtypes = [ctypes.c_void_p]
    _evaluates = ctypes.cast(_api._PyEval_EvalFrameDefault, ctypes.c_void_p).value


def has_function():
    """Does this thread have a profile function, of whom ever?"""
    return _version >= (3, 12) or bool(ctypes.c_void_p.from_address(_api.PyThreadState_Get() + _PROFILE_FUNCTION).value)


def is_checked():
    """Does each Python call check that the thread has its function?"""
    return _version != (3, 11) or _api._PyInterpreterState_GetEvalFrameFunc(_api.PyInterpreterState_Get()) != _evaluates
