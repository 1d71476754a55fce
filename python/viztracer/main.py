"""main(): the command line program, as `python -m viztracer`."""

import sys

from viztracer._programs import become


def main():
    """Becomes `viztracer` with this process's arguments. Returns only with an exit status."""
    from viztracer.__main__ import arguments

    return become("viztracer", arguments(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
