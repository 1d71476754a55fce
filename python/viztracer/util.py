"""Small functions that programs import from VizTracer's module of this name."""

import errno
import os
import re
import sys
import time

_UNITS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3, None: 1.0}


def size_fmt(num, suffix="B"):
    """1536 -> "1.5KiB"; a TiB is the largest unit."""
    units = ["", "Ki", "Mi", "Gi", "Ti"]
    while abs(num) >= 1024 and len(units) > 1:
        num /= 1024.0
        del units[0]
    return "{:.1f}{}{}".format(num, units[0], suffix)


def compare_version(ver1, ver2):
    """-1, 0 or 1: is ver1 older, the same or newer? Both are numbers with dots between."""
    first, second = ([int(part) for part in version.split(".")] for version in (ver1, ver2))
    return (first > second) - (first < second)


def time_str_to_us(t_s):
    """Microseconds of a text like "1.5", "0.2us", "3ms". ValueError for other texts."""
    found = re.match(r"([0-9]+\.?[0-9]*|\.[0-9]+)(s|ms|us|ns)?$", t_s.strip())
    if not found:
        raise ValueError("Can't convert {} to time".format(t_s))
    return float(found.group(1)) * _UNITS[found.group(2)]


def pid_exists(pid):
    """Is there a process of this number? ValueError for 0."""
    if pid == 0:
        raise ValueError("0 is the number of no process")
    if pid < 0:
        return False
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno == errno.EPERM
    return True


def color_print(color, s, **kwargs):
    """Prints the text in a color where stdout is a terminal: HEADER, OKBLUE, OKGREEN, WARNING, FAIL, BOLD, UNDERLINE."""
    codes = {"HEADER": 95, "OKBLUE": 94, "OKGREEN": 92, "WARNING": 93, "FAIL": 91, "BOLD": 1, "UNDERLINE": 4}
    print("\033[{}m{}\033[0m".format(codes[color], s) if sys.stdout.isatty() else s, **kwargs)


def same_line_print(s, width=80, **kwargs):
    """Prints over the line before."""
    print("\r" + s.ljust(width), end="", **kwargs)


def unique_file_name(exec_name):
    """program.py -> program_20261201_101500_4711.json"""
    stem = os.path.basename(exec_name).partition(".")[0]
    return "{}_{}_{}.json".format(stem, time.strftime("%Y%m%d_%H%M%S"), os.getpid())


def frame_stack_has_func(frame, funcs):
    """Does one of these functions run in the frame or below it?"""
    codes = {func.__code__ for func in funcs}
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False
