"""A small WSGI application for gunicorn: SQLite and JSON in each request."""
import json
import sqlite3
import threading

_local = threading.local()


def database():
    if not hasattr(_local, "db"):
        _local.db = sqlite3.connect(":memory:")
        _local.db.execute("create table item (id integer primary key, name text)")
        _local.db.executemany("insert into item (name) values (?)", [("item-%d" % i,) for i in range(50)])
    return _local.db


def app(environ, start_response):
    rows = database().execute("select id, name from item order by name limit 10").fetchall()
    body = json.dumps([{"id": i, "name": name} for i, name in rows]).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
