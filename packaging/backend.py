"""The PEP 517 backend of this tree: make builds, the standard library packs. Nothing is fetched, so it works without an index.

pip calls the functions that PEP 517 names. `make wheel` and `make sdist` run this file: backend.py wheel FOLDER STAGE, backend.py sdist FOLDER.
"""
import base64
import hashlib
import io
import os
import platform
import re
import shlex
import subprocess
import sys
import tarfile
import time
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = "viztracerd"
TAG = "py3-none-manylinux_2_17_x86_64"
SUMMARY = "The full timeline of every Python and C call of a live CPython process, or of a program that is started with it"
EPOCH = max(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), 315532800)  # a zip file knows no earlier date
LICENSES = "licenses/"


def read(*names):
    with open(os.path.join(ROOT, *names), encoding="utf-8") as f:
        return f.read()


VERSION = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M)[1]
INFO = "%s-%s.dist-info" % (NAME, VERSION)


def metadata():
    head = ["Metadata-Version: 2.1", "Name: " + NAME, "Version: " + VERSION, "Summary: " + SUMMARY, "License: Apache-2.0", "Requires-Python: >=3.8"]
    head += ["Classifier: Operating System :: POSIX :: Linux", "Classifier: Programming Language :: Python :: Implementation :: CPython"]
    return "\n".join(head + ["Description-Content-Type: text/markdown", "", read("README.md")])


def wheel_text():
    return "Wheel-Version: 1.0\nGenerator: %s (%s)\nRoot-Is-Purelib: false\nTag: %s\n" % (NAME, VERSION, TAG)


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_sdist = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.makedirs(os.path.join(folder, INFO))
    for name, text in (("METADATA", metadata()), ("WHEEL", wheel_text())):
        with open(os.path.join(folder, INFO, name), "w", encoding="utf-8") as f:
            f.write(text)
    return INFO


def staged(stage):
    """(name in the wheel, bytes, mode) of each file below stage."""
    for folder, dirs, names in os.walk(stage):
        dirs.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, stage)
            with open(path, "rb") as f:
                yield INFO + "/" + inside if inside.startswith(LICENSES) else inside, f.read(), 0o755 if os.access(path, os.X_OK) else 0o644


def write_wheel(folder, files):
    """files: as staged() gives them. Returns the name. A file of that name is replaced only by a whole one."""
    out = os.path.join(folder, "%s-%s-%s.whl" % (NAME, VERSION, TAG))
    rows = []
    with zipfile.ZipFile(out + ".tmp", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:

        def put(name, data, mode=0o644):
            entry = zipfile.ZipInfo(name, time.gmtime(EPOCH)[:6])
            entry.create_system = 3  # Unix: without it pip ignores the mode
            entry.external_attr, entry.compress_type = (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED
            z.writestr(entry, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append("%s,sha256=%s,%d\n" % (name, digest, len(data)))

        for name, data, mode in sorted(files, key=lambda file: file[0].startswith(INFO)):
            put(name, data, mode)
        put(INFO + "/METADATA", metadata().encode())
        put(INFO + "/WHEEL", wheel_text().encode())
        rows.append(INFO + "/RECORD,,\n")
        put(INFO + "/RECORD", "".join(rows).encode())
    os.replace(out + ".tmp", out)
    return os.path.basename(out)


def make(target):
    """Builds it in build/, whatever the caller's environment says."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise RuntimeError("viztracerd runs on x86-64 Linux only")
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "BUILD", "SAN", "FAULTS", "CONSTANT_CLOCK")}
    build = ["make", "-C", ROOT, "-j%d" % (os.cpu_count() or 1), "BUILD=build", target]
    if subprocess.run(build, stdout=sys.stderr, env=env).returncode:
        raise RuntimeError("make could not build viztracerd; its message is above (tests/setup/deps.sh build installs what it needs)")


def build_wheel(folder, config_settings=None, metadata_directory=None):
    make("wheel-stage")
    return write_wheel(folder, staged(os.path.join(ROOT, "build", "wheel")))


# ---- pip install -e: the package and the programs stay in the build folder ----

get_requires_for_build_editable = get_requires_for_build_wheel
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def links():
    """A file that puts the package on the path, and a script for each program."""
    yield NAME + ".pth", (os.path.join(ROOT, "build", "python") + "\n").encode(), 0o644
    for name in ("viztracer", "viztracerd", "vizviewer"):
        text = "#!/bin/sh\nexec %s \"$@\"\n" % shlex.quote(os.path.join(ROOT, "build", "bin", name))
        yield "%s-%s.data/scripts/%s" % (NAME, VERSION, name), text.encode(), 0o755


def build_editable(folder, config_settings=None, metadata_directory=None):
    make("all")
    return write_wheel(folder, links())


def tracked():
    """The files of an sdist: what git tracks, or what an unpacked sdist names in MANIFEST."""
    if os.path.exists(os.path.join(ROOT, ".git")):
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, stdout=subprocess.PIPE).stdout.decode()
        return sorted(name for name in listed.split("\0") if name and os.path.lexists(os.path.join(ROOT, name)))
    return read("MANIFEST").split("\n")


def build_sdist(folder, config_settings=None):
    base = "%s-%s" % (NAME, VERSION)
    out = os.path.join(folder, base + ".tar.gz")
    files = tracked()
    extra = {"PKG-INFO": metadata(), "MANIFEST": "\n".join(files)}
    with tarfile.open(out + ".tmp", "w:gz", format=tarfile.PAX_FORMAT) as t:

        def put(entry, data=None):
            entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime = 0, 0, "", "", EPOCH
            t.addfile(entry, data)

        for name in files:
            path = os.path.join(ROOT, name)
            entry = t.gettarinfo(path, base + "/" + name)
            if entry.isreg():
                with open(path, "rb") as f:
                    put(entry, f)
            else:
                put(entry)
        for name, text in extra.items():
            entry = tarfile.TarInfo(base + "/" + name)
            entry.size = len(text.encode())
            put(entry, io.BytesIO(text.encode()))
    os.replace(out + ".tmp", out)
    return os.path.basename(out)


if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    made = write_wheel(sys.argv[2], staged(sys.argv[3])) if sys.argv[1] == "wheel" else build_sdist(sys.argv[2])
    print("%s (%d bytes)" % (os.path.join(sys.argv[2], made), os.path.getsize(os.path.join(sys.argv[2], made))))
