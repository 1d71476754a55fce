"""python -m viztracer: the command line program, with this interpreter for scripts."""

import sys

from viztracer._programs import become

_COMMANDS = set(
    "run attach detach status uninstall dump top sample report diff view convert combine align_combine compress decompress "
    "help version h".split()
)


def _asks_for_command(words):
    for word in words:
        if word in ("--", "--run", "-c", "-m", "--cmd_string", "--module"):
            return False
        if word.startswith("-") and word.lstrip("-").split("=")[0] in _COMMANDS:
            return True
    return not words or words[0] in _COMMANDS


def arguments(words):
    """The words of the command line, with this interpreter named where a program is to be started."""
    return words if _asks_for_command(words) or not sys.executable else ["--python", sys.executable] + words


if __name__ == "__main__":
    sys.exit(become("viztracer", arguments(sys.argv[1:])))
