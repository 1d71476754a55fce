"""Installs a wheel where an interpreter has no pip: unpack.py WHEEL, run by that interpreter. Checks every hash of RECORD."""
import base64
import hashlib
import os
import sys
import sysconfig
import zipfile

SCHEMES = {"scripts": "scripts", "data": "data", "purelib": "purelib"}
with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = wheel.namelist()
    record = [name for name in names if name.endswith(".dist-info/RECORD")][0]
    rows = dict(row.split(",")[:2] for row in wheel.read(record).decode().split("\n") if row)
    if sorted(rows) != sorted(names):
        sys.exit("RECORD and the files of the wheel differ")
    for info in wheel.infolist():
        data = wheel.read(info)
        digest = "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        if info.filename != record and rows[info.filename] != digest:
            sys.exit("%s: not the hash that RECORD has" % info.filename)
        parts = info.filename.split("/")
        scheme = "purelib"
        if parts[0].endswith(".data"):
            scheme, parts = SCHEMES[parts[1]], parts[2:]
        path = os.path.join(sysconfig.get_path(scheme), *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, info.external_attr >> 16 & 0o777)
