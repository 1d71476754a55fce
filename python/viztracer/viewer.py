"""python -m viztracer.viewer: the viewer of traces."""

import sys

from viztracer._programs import become


def viewer_main():
    """Becomes `vizviewer` with this process's arguments. Returns only with an exit status."""
    return become("vizviewer", sys.argv[1:])


if __name__ == "__main__":
    sys.exit(viewer_main())
