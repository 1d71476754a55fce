#!/usr/bin/env python3
"""A small web shop: threads, HTTP, SQLite, JSON; standard library only. Something real to attach to.

    shop.py serve [PORT]            serves on 127.0.0.1, prints the port
    shop.py load PORT [CLIENTS]     customers that search, order and ask for reports, until stopped
"""
import http.client
import json
import random
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

WORDS = "red green blue small large wood steel paper glass soft hard round flat cheap fine old new".split()


class Store:
    """SQLite behind a lock; each order is one transaction."""

    def __init__(self):
        self.lock = threading.Lock()
        self.db = sqlite3.connect(":memory:", check_same_thread=False)
        self.db.execute("create table item (id integer primary key, name text, cents integer, stock integer)")
        self.db.execute("create table sale (id integer primary key, item integer, amount integer, cents integer)")
        rng = random.Random(7)
        rows = [(" ".join(rng.sample(WORDS, 3)), rng.randrange(100, 9000), 10**6) for _ in range(2000)]
        self.db.executemany("insert into item (name, cents, stock) values (?, ?, ?)", rows)
        self.db.commit()

    def query(self, sql, args=()):
        with self.lock:
            return self.db.execute(sql, args).fetchall()

    def search(self, word):
        return self.query("select id, name, cents from item where name like ? order by cents limit 25", ("%" + word + "%",))

    def order(self, item, amount):
        with self.lock:
            row = self.db.execute("select cents, stock from item where id = ?", (item,)).fetchone()
            if row is None or row[1] < amount:
                raise KeyError(item)
            self.db.execute("update item set stock = stock - ? where id = ?", (amount, item))
            self.db.execute("insert into sale (item, amount, cents) values (?, ?, ?)", (item, amount, row[0] * amount))
            self.db.commit()
        return row[0] * amount

    def report(self):
        return self.query("select item, sum(amount), sum(cents) from sale group by item order by 3 desc limit 20")


def tax_rate(region):
    """Walks the whole table each time: what a trace of this service shows at once."""
    table = {"%s-%d" % (name, n): (n % 20) / 100 for name in ("north", "south") for n in range(60)}
    for key, rate in sorted(table.items()):
        if key == region:
            return rate
    return 0.19


def price(cents, region):
    return round(cents * (1 + tax_rate(region)))


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store = None

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/search":
            word = parse_qs(url.query).get("q", [""])[0]
            self.answer(200, [{"id": i, "name": n, "price": price(c, "south-42")} for i, n, c in self.store.search(word)])
        elif url.path == "/report":
            self.answer(200, [{"item": i, "sold": n, "cents": c} for i, n, c in self.store.report()])
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self):
        length = int(self.headers.get("Content-Length", 0))
        wish = json.loads(self.rfile.read(length))
        try:
            self.answer(200, {"cents": self.store.order(wish["item"], wish["amount"])})
        except KeyError:
            self.answer(409, {"error": "not in stock"})

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a customer who leaves in the middle is no error of ours
            super().handle_error(request, client_address)


def serve(port=0):
    Shop.store = Store()
    server = Server(("127.0.0.1", int(port)), Shop)
    print(server.server_address[1], flush=True)
    server.serve_forever()


def customer(port, seed):
    rng = random.Random(seed)
    shop = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while True:
        turn = rng.random()
        if turn < 0.6:
            shop.request("GET", "/search?q=" + rng.choice(WORDS))
        elif turn < 0.95:
            wish = json.dumps({"item": rng.randrange(1, 2100), "amount": 1})
            shop.request("POST", "/order", wish, {"Content-Type": "application/json"})
        else:
            shop.request("GET", "/report")
        shop.getresponse().read()
        time.sleep(rng.random() * 0.02)


def load(port, clients=4):
    for seed in range(int(clients)):
        threading.Thread(target=customer, args=(int(port), seed), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    commands = {"serve": serve, "load": load}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except KeyboardInterrupt:
        pass
