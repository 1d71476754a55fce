"""Traces in a real browser (run.sh prepares them): test_browser.py BUILD FOLDER-FOR-SCREENSHOTS. Ends with a line as Check's."""
import http.server
import os
import re
import subprocess
import sys
import threading
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from chromium import Browser, Failed, find  # noqa: E402

BUILD, SHOTS = sys.argv[1:3]
SAMPLES = os.environ["VT_SAMPLES"]
TOOL = os.path.join(BUILD, "bin/viztracer")
MS = 1000000
SOURCE = "class Shop:\n" + "".join("    # line %d\n" % n for n in range(2, 20)) + "    def query(self): pass  # the source text\n"


class Skip(Exception):
    pass


def must(condition, *what):
    if not condition:
        raise AssertionError(" ".join(map(str, what)))


def same(value, expected, what=""):
    must(value == expected, what, "is", repr(value), "instead of", repr(expected))


def page(name):
    out = os.path.join(SAMPLES, name + ".html")
    if not os.path.exists(out):
        subprocess.run([TOOL, "convert", "--quiet", os.path.join(SAMPLES, name + ".vzt"), "-o", out], check=True, timeout=120)
    return "file://" + out


def open_page(b, name):
    b.open(page(name))
    same(b.evaluate("viztracer.ready"), "ready")


def shot(b, name):
    data = b.screenshot(os.path.join(SHOTS, name + ".png"))
    must(len(data) > 10000, "screenshot", name, "has only", len(data), "bytes")


def text(b, selector):
    return b.evaluate("document.querySelector(%r).innerText" % selector)


def only_loopback(b):
    outside = [url for url in b.requests if not re.match(r"(http://127\.0\.0\.1:\d+/|file://|data:|blob:|about:)", url)]
    same(outside, [], "asked elsewhere")


def quiet(b):
    b.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


# ---- the page from disk ----

def test_page_shows_the_calls(b):
    open_page(b, "known")
    found = b.evaluate("viztracer.search('Store.query')")
    same(len(found), 6)
    same(sorted({f["tid"] for f in found}), [100, 101, 102])
    first = found[0]
    same((first["start"], first["duration"], first["depth"]), (19 * MS, 30 * MS, 2))
    same(first["self"], 10 * MS, "self time")
    same(first["line"], 20)
    same(b.evaluate("viztracer.search('never_seen')"), [])
    same(len(b.evaluate("viztracer.search('sqlite3.Connection.execute')")), 3)
    same([t["name"] for t in b.evaluate("viztracer.summary().tracks")], ["MainThread", "worker-1", "worker-2"])
    must("15 calls on 3 threads" in text(b, "#summary"), text(b, "#summary"))
    must("231 events dropped" in text(b, "#warning"), text(b, "#warning"))
    b.evaluate("viztracer.search('')")
    quiet(b)
    # every lane of the first thread is drawn where it should be
    colors = b.evaluate("""(() => { const c = document.getElementById('timeline'), g = c.getContext('2d'), r = devicePixelRatio,
        box = c.getBoundingClientRect(), at = i => { const p = viztracer.place(0, i);
        return [...g.getImageData((p.x + p.width * 0.97 - box.left) * r, (p.y + 6 - box.top) * r, 1, 1).data].join() };
        return [0, 1, 2, 3].map(at) })()""")
    must(all(c != "255,255,255,255" for c in colors) and len(set(colors)) == 4, colors)
    shot(b, "page")
    only_loopback(b)
    same(b.errors, [])


def test_page_tells_about_a_call(b):
    open_page(b, "known")
    place = b.evaluate("viztracer.place(1, 1)")
    b.click(place["x"] + place["width"] / 2, place["y"])
    selected = b.evaluate("viztracer.selection()")
    must(selected and selected["name"].startswith("Shop.order ("), selected)
    told = text(b, "#details")
    for part in ("50.00 ms", "worker-1", "tid 101", "shop.py:10", "'A-17'", "None", "20.00 ms"):
        must(part in told, part, "is not in", told)
    b.key("c")
    must(b.evaluate("viztracer.selection()")["name"].startswith("Store.query ("))
    must("the source text" in text(b, "#source .here"), "source:", text(b, "#source"))
    same(b.evaluate("document.querySelector('#source .here span').textContent"), "20")
    b.key("p")
    must(b.evaluate("viztracer.selection()")["name"].startswith("Shop.order ("))
    b.key("Escape")
    same(b.evaluate("viztracer.selection()"), None)
    same(b.errors, [])


def test_page_search(b):
    open_page(b, "known")
    b.key("/")
    b.type("store.q")
    same(b.evaluate("viztracer.summary().matches"), 6)
    b.key("Enter")
    first = b.evaluate("viztracer.selection()")
    must(first["name"].startswith("Store.query"), first)
    b.key("Enter")
    second = b.evaluate("viztracer.selection()")
    must((first["track"], first["index"]) != (second["track"], second["index"]), "the next match is the same")
    b.evaluate("document.getElementById('tab-functions').click()")
    rows = b.evaluate("[...document.querySelectorAll('#functions tbody tr')].map(r => r.innerText)")
    must(len(rows) == 1 and "Store.query" in rows[0], rows)
    b.key("Escape")
    b.evaluate("document.getElementById('tab-functions').click()")
    rows = b.evaluate("[...document.querySelectorAll('#functions tbody tr')].map(r => r.innerText)")
    same(len(rows), 4)
    must("Shop.serve" in rows[0] and "execute" in rows[1], "by self time:", rows)
    shot(b, "page-functions")
    same(b.errors, [])


def test_page_moves(b):
    open_page(b, "known")
    x, y = 700, 300
    length = lambda: (lambda v: v[1] - v[0])(b.evaluate("viztracer.view()"))
    all_of_it = length()
    b.wheel(x, y, -300)
    quiet(b)
    zoomed = length()
    must(zoomed < all_of_it * 0.8, "the wheel does not zoom:", all_of_it, zoomed)
    at = b.evaluate("viztracer.view()")[0]
    b.drag(x, y, x - 200, y)
    moved = b.evaluate("viztracer.view()")[0]
    must(moved > at and abs(length() - zoomed) < 1, "dragging does not move:", at, moved)
    b.key("w")
    must(length() < zoomed, "w does not zoom in")
    b.key("s")
    b.key("a")
    must(b.evaluate("viztracer.view()")[0] < moved, "a does not move")
    b.key("0")
    same(length(), all_of_it)
    place = b.evaluate("viztracer.place(0, 1)")
    b.click(place["x"] + place["width"] / 2, place["y"], count=2)
    must(50 * MS < length() < 70 * MS, "a double click does not fit the call:", length())
    b.key("0")
    gap = b.evaluate("(() => { const p = viztracer.place(0, 0), v = viztracer.view(); return [p.x, p.width, p.y] })()")
    b.mouse("mouseMoved", gap[0] + gap[1] * 59 / 99, gap[2] - 18)
    quiet(b)
    must("77 events dropped" in text(b, "#tip"), text(b, "#tip"))
    tall = b.evaluate("viztracer.place(1, 0).y")
    b.click(40, b.evaluate("viztracer.place(0, 0).y") - 18)
    must(b.evaluate("viztracer.place(1, 0).y") < tall, "a click on its name does not fold the thread")
    same(b.errors, [])


def test_page_hostile_names(b):
    open_page(b, "hostile")
    same(len(b.evaluate("viztracer.search('owned')")), 6)  # names or files
    before = b.evaluate("document.querySelectorAll('script, img, svg').length")
    for i in range(6):
        b.evaluate("viztracer.select(0, %d)" % i)
        quiet(b)
        b.evaluate("document.getElementById('tab-functions').click()")
        place = b.evaluate("viztracer.place(0, %d)" % i)
        b.mouse("mouseMoved", place["x"] + place["width"] / 2, place["y"])
    b.evaluate("viztracer.select(0, 0)")
    must("<img src=x" in text(b, "#details"), text(b, "#details"))
    same(b.evaluate("document.querySelectorAll('script, img, svg').length"), before, "elements")
    must("owned" != b.evaluate("document.title"), "a name was run")
    same(b.dialogs, [])
    shot(b, "hostile")
    only_loopback(b)
    same(b.errors, [])


def test_page_large(b):
    began = time.monotonic()
    open_page(b, "large")
    took = time.monotonic() - began
    calls = b.evaluate("viztracer.summary().calls")
    must(calls > 900000, calls)
    times = []
    for part in (1, 0.3, 0.1, 0.01, 0.001):
        b.evaluate("(() => { const end = viztracer.summary().end; viztracer.zoom(end / 3, end / 3 + end * %g) })()" % part)
        times.append(min(b.evaluate("viztracer.draw()") for _ in range(3)))
    shot(b, "large")
    print("large: %d calls, %.1f MB, open in %.1f s; ms a picture at 1, 0.3, 0.1, 0.01, 0.001 of it: %s" % (
        calls, os.path.getsize(os.path.join(SAMPLES, "large.html")) / 1e6, took, " ".join("%.1f" % t for t in times)))
    same(b.errors, [])


def scheme(b, name):
    b.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])


def box(b, selector):
    return b.evaluate("(r => [r.left, r.top, r.right, r.bottom])(document.querySelector(%r).getBoundingClientRect())" % selector)


def rows_of_table(b):
    return b.evaluate("[...document.querySelectorAll('#functions tbody tr:not(.block)')].map(r => r.innerText.replace(/\\s+/g, ' ').trim())")


def plainness(b, track, index):
    """Of the pixels of a call, right of its name: the share of the most frequent colour (lines of the ruler cross it)."""
    return b.evaluate("""(() => { const c = document.getElementById('timeline'), r = devicePixelRatio, box = c.getBoundingClientRect(),
        p = viztracer.place(%d, %d), w = Math.min(p.width, box.right - p.x) * 0.3, found = {},
        d = c.getContext('2d').getImageData((p.x + p.width * 0.6 - box.left) * r, (p.y - 7 - box.top) * r, Math.max(1, w * r), 14 * r).data;
        for (let i = 0; i < d.length; i += 4) found[d.slice(i, i + 3)] = (found[d.slice(i, i + 3)] || 0) + 4;
        return Math.max(...Object.values(found)) / d.length })()""" % (track, index))


def track_of(b, name):
    names = [t["name"] for t in b.evaluate("viztracer.summary().tracks")]
    must(name in names, name, "is not among", names)
    return names.index(name)


def test_page_opens_on_the_table_beside_the_timeline(b):
    open_page(b, "known")
    rows = rows_of_table(b)
    same(len(rows), 4)
    must(rows[0].startswith("Shop.serve shop.py:1 "), "the name is first, then the file:", rows[0])
    timeline, table = box(b, "#timeline"), box(b, "#functions")
    must(table[0] >= timeline[2] and table[3] - table[1] > 500 and table[2] <= 1280, "not beside it:", timeline, table)
    b.size(800, 700)
    quiet(b)
    timeline, table = box(b, "#timeline"), box(b, "#functions")
    must(table[1] >= timeline[3] and table[2] <= 800 and timeline[2] <= 800 and table[3] <= 700, "not below it:", timeline, table)
    same(b.evaluate("document.documentElement.scrollWidth"), 800, "a narrow window scrolls sideways: width")
    shot(b, "narrow")
    same(b.errors, [])


def test_page_follows_the_colours_of_the_system(b):
    light = lambda: [b.evaluate("getComputedStyle(document.%s).%s" % what) for what in (("body", "backgroundColor"), ("body", "color"))] + [
        b.evaluate("[...document.getElementById('timeline').getContext('2d').getImageData(2, 200, 1, 1).data].join()")]
    scheme(b, "light")
    open_page(b, "known")
    quiet(b)
    same(light(), ["rgb(255, 255, 255)", "rgb(31, 36, 48)", "255,255,255,255"])
    scheme(b, "dark")  # while the page is open
    quiet(b)
    same(light(), ["rgb(22, 25, 31)", "rgb(228, 231, 237)", "22,25,31,255"])
    shot(b, "dark")
    open_page(b, "known")
    quiet(b)
    same(light()[2], "22,25,31,255")
    same(b.errors, [])


def test_page_pools_threads_and_folds_idle_ones(b):
    open_page(b, "pool")
    tracks = b.evaluate("viztracer.summary().tracks")
    same([t["name"] for t in tracks[:2]], ["busy", "<img src=x onerror=\"document.title='owned'\">"], "by activity")
    same([t["threads"] for t in tracks[:2]], [1, 40])
    same([(t["idle"], t["hidden"]) for t in tracks], [(False, False)] * 2 + [(True, True)] * 6)
    must("47 threads" in text(b, "#summary"), text(b, "#summary"))
    found = b.evaluate("viztracer.search('do_GET')")
    same([(f["tid"], f["thread"][:11]) for f in found[:2]], [(1000, "Thread-0 (<"), (1001, "Thread-1 (<")])
    b.evaluate("viztracer.select(1, 2)")
    must("Thread-1 (<img" in text(b, "#details") and "tid 1001" in text(b, "#details"), text(b, "#details"))
    tall = b.evaluate("state.height")
    top = b.evaluate("(r => r.y - state.y)(state.rows.find(r => r.idle))")
    b.click(40, box(b, "#timeline")[1] + 26 + top + 10)
    same([t["hidden"] for t in b.evaluate("viztracer.summary().tracks")], [False] * 8, "a click on the line of idle threads: hidden")
    must(b.evaluate("state.height") > tall + 6 * 20, "they are not drawn")
    b.click(40, box(b, "#timeline")[1] + 26 + top + 10)
    b.evaluate("viztracer.search('worker')")
    b.evaluate("viztracer.next()")  # a call in a hidden thread is shown
    same([t["hidden"] for t in b.evaluate("viztracer.summary().tracks")], [False] * 8, "after a search: hidden")
    must("owned" not in b.evaluate("document.title"), "a name was run")
    same(b.evaluate("document.querySelectorAll('img').length"), 0)
    shot(b, "pool")
    same(b.errors, [])


def test_page_unfinished_calls_look_different(b):
    open_page(b, "pool")
    b.evaluate("(viztracer.select(2, 0), show(state.selected, false))")
    b.evaluate("viztracer.zoom(0, viztracer.summary().end)")
    b.key("Escape")
    quiet(b)
    ended, unfinished = plainness(b, 0, 0), plainness(b, 2, 0)
    must(ended > 0.95 and 0.5 < unfinished < 0.9, "an unfinished call looks like one that has ended:", unfinished, ended)
    place = b.evaluate("viztracer.place(2, 0)")
    b.mouse("mouseMoved", place["x"] + 100, place["y"])
    quiet(b)
    must(text(b, "#tip").startswith("Thread._bootstrap (") and "unfinished" in text(b, "#tip"), text(b, "#tip"))
    same(b.errors, [])


def test_page_waiting_looks_different_from_working(b):
    open_page(b, "pool")
    index = next(f["index"] for f in b.evaluate("viztracer.search('time.sleep')") if f["track"] == 1)
    start = b.evaluate("viztracer.search('')") or b.evaluate("state.trace.tracks[1].start[%d]" % index)
    b.evaluate("(state.y = state.trace.tracks[1].y, clampY(), viztracer.zoom(%d, %d))" % (start - MS, start + 7 * MS))
    quiet(b)
    working, waiting = plainness(b, 1, index - 1), plainness(b, 1, index)
    must(working > 0.95 and 0.5 < waiting < 0.8, "a call that waits looks like one that works:", waiting, working)
    shot(b, "waiting")
    name, table = box(b, "#functions tbody td"), box(b, "#functions")
    must(name[2] - name[0] > 200 and box(b, "#functions th:nth-child(4)")[2] > table[2] - 40, "the columns do not fill the table:", name, table)
    # in the table they are a block below what works, however long they took
    rows = b.evaluate("[...document.querySelectorAll('#functions tbody tr')].map(r => [r.className, r.innerText.replace(/\\s+/g, ' ').trim()])")
    same([row[0] for row in rows], [""] * (len(rows) - 2) + ["block", ""])
    must(rows[-2][1].startswith("waiting: 1.982 s"), rows[-2])
    must(rows[-1][1].startswith("time.sleep waits 1.982 s"), rows[-1])
    place = b.evaluate("viztracer.place(1, %d)" % index)
    b.mouse("mouseMoved", place["x"] + 20, place["y"])
    quiet(b)
    must(text(b, "#tip").startswith("time.sleep ") and "waits" in text(b, "#tip"), text(b, "#tip"))
    same(b.errors, [])


def test_page_search_exact_and_case(b):
    open_page(b, "pool")
    count = lambda: b.evaluate("viztracer.summary().matches")
    names = lambda: sorted(row.split(" ")[0] for row in rows_of_table(b))
    b.key("/")
    b.type("prices")
    same(names(), ["Catalogue.prices", "Prices"])
    b.evaluate("document.getElementById('cased').click()")
    same(names(), ["Catalogue.prices"])
    same(b.evaluate("document.getElementById('cased').getAttribute('aria-pressed')"), "true")
    b.evaluate("document.getElementById('cased').click()")
    same(count(), 2)
    b.evaluate("document.getElementById('search').value = ''")
    b.evaluate("viztracer.search('do_')")
    same(count(), 40)
    b.evaluate("document.getElementById('exact').click()")
    same(count(), 0)
    for name in ("do_GET", "handler.do_get", "Handler.do_GET"):
        b.evaluate("viztracer.search(%r)" % name)
        same(count(), 40, name)
    b.evaluate("document.getElementById('cased').click()")
    b.evaluate("viztracer.search('handler.do_get')")
    same(count(), 0)
    same(b.errors, [])


def test_page_table_chooses_a_function(b):
    open_page(b, "known")
    b.evaluate("[...document.querySelectorAll('#functions tbody tr')].find(r => r.innerText.includes('Store.query')).click()")
    same((b.evaluate("viztracer.summary().matches"), len(rows_of_table(b)), text(b, "#functions tr.on").split()[0]), (6, 4, "Store.query"))
    same((b.evaluate("viztracer.selection()")["duration"], b.evaluate("document.getElementById('functions').hidden")), (30 * MS, False))
    b.evaluate("document.querySelector('#functions tr.on').click()")
    same(b.evaluate("viztracer.summary().matches"), 0)
    b.click(*[v + 200 for v in box(b, "#timeline")[:2]])
    b.key("Escape")
    same(b.evaluate("document.getElementById('functions').hidden"), False, "without a selection the table is hidden:")
    same(b.errors, [])


def test_page_narrow_names_keep_their_qualifiers(b):
    open_page(b, "known")
    for name, room, fitted in (("Store.query", 11, "Store.query"), ("Store.query", 10, "Sto\u2026.query"), ("Store.query", 7, "Store.\u2026"),
                               ("sqlite3.Connection.execute", 20, "\u2026Connection.execute"), ("f", 2, "f"), ("function", 5, "func\u2026"),
                               ("make.<locals>.View.get", 12, "\u2026View.get"), ("sqlite3.Connection.execute", 12, "Con\u2026.execute")):
        same(b.evaluate("viztracer.fit(%r, %d)" % (name, room)), fitted, "%s in %d" % (name, room))


def test_page_damaged(b):
    with open(page("known")[7:]) as f:
        whole = f.read()
    broken = os.path.join(SAMPLES, "broken.html")
    with open(broken, "w") as f:
        f.write(re.sub(r'(class="trace">.{40}).{30}', r"\1", whole, count=1))
    b.open("file://" + broken)
    b.wait("viztracer.error !== null")
    must("cannot be read" in text(b, "#warning"), text(b, "#warning"))


# ---- the server ----

class View:
    """viztracer view, with the address that it prints."""

    def __init__(self, *args, ui=None):
        env = dict(os.environ, HOME=SAMPLES, XDG_CACHE_HOME=SAMPLES, VIZTRACER_UI_DIR=ui or "none")
        env.pop("VIRTUAL_ENV", None)
        self.process = subprocess.Popen([TOOL, "view", "-s", "-p", "0", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=env, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{32}", line)
        must(found, "no address in", repr(line))
        self.url = found.group()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.out, self.err = self.process.communicate(timeout=20)


def ui_folder():
    folder = os.environ.get("VIZTRACER_UI_DIR")
    if not folder or not os.path.exists(os.path.join(folder, "index.html")):
        raise Skip("no Perfetto UI on this machine: " + (os.environ.get("VT_NO_UI") or "make deps-ui"))
    return folder


def test_view_offline_ui(b):
    with View("--once", os.path.join(SAMPLES, "known.vzt"), ui=ui_folder()) as view:
        b.open(view.url)
        b.wait("document.querySelectorAll('.pf-track, .pf-track__shell').length > 3")
        b.wait("document.title.includes('localtrace')")
        # its search finds a call by name and shows it, with the source text beside
        b.evaluate("document.querySelector('.pf-omnibox input, .omnibox input').focus()")
        b.type("Store.query")
        shown = "document.body.innerText.includes('Store.query (%s/shop.py:20)')" % SAMPLES
        for _ in range(180):  # the search takes its time; Enter goes to a match once there is one
            time.sleep(0.5)
            b.key("Enter")
            if b.evaluate(shown):
                break
        must(b.evaluate(shown), "Store.query is not shown: ", text(b, "body")[:500])
        b.wait("document.body.innerText.includes('the source text')")
        for thread in ("MainThread", "worker-1", "worker-2"):
            must(thread in text(b, "body"), thread, "is not on the page")
        shot(b, "perfetto")
        same([e for e in b.errors if "localtrace" in e], [])
        same(view.process.wait(30), 0, "exit code")


def told_by_engine(b, sql, column):
    """One text out of the trace that the Perfetto UI has open."""
    return b.evaluate("app.trace.engine.query(%r).then(found => found.firstRow({%s: 'str'}).%s)" % (sql, column, column))


def open_in_ui(b, view):
    b.open(view.url)
    b.wait("document.title.includes('localtrace') && document.querySelectorAll('.pf-track, .pf-track__shell').length > 0")


def test_view_opens_expanded_and_names_the_command(b):
    ui = ui_folder()
    for name in ("known.vzt", "known.json"):
        path = os.path.join(SAMPLES, name)
        if not os.path.exists(path):
            subprocess.run([TOOL, "convert", "--quiet", os.path.join(SAMPLES, "known.vzt"), "-o", path], check=True, timeout=120)
        with View(path, ui=ui) as view:
            open_in_ui(b, view)
            b.wait("document.body.innerText.includes('worker-1')")  # a thread: its process is expanded
            page = text(b, "body")
            must("Clock Snapshots" not in page and "\nSystem\n" not in page, name, "shows", page[:400])
            if name == "known.vzt":  # of JSON the engine takes names only
                labels = "select string_value as label from process join args using (arg_set_id) where pid = 100 and flat_key glob 'chrome.process_label*'"
                same(told_by_engine(b, labels, "label"), "python3 shop.py <img src=x>")
            same(told_by_engine(b, "select cast(count(*) as text) as n from slice where dur > 0", "n"), "15")
            shot(b, "expanded-" + name)


def test_view_without_ui_or_network(b):
    with View(os.path.join(SAMPLES, "known.vzt")) as view:
        b.open(view.url)
        b.wait("window.viztracer && location.pathname.endsWith('/-/page')")
        same(b.evaluate("viztracer.ready"), "ready")
        same(len(b.evaluate("viztracer.search('Store.query')")), 6)
        shot(b, "view-page")


class Stub:
    """Stands for the public UI on loopback: its first page answers PING with PONG and keeps what it is sent; or it is the real one, of
    `folder`."""
    PAGE = b"""<!doctype html><title>stub</title><script>
        addEventListener('message', e => { if (e.data === 'PING') return e.source.postMessage('PONG', e.origin);
            const p = e.data.perfetto; parent.postMessage({stub: p.buffer.byteLength, head: new Uint8Array(p.buffer)[0], title: p.title}, '*'); });
    </script>"""

    def __init__(self, folder=None):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *args):
                super().__init__(*args, directory=folder)

            def do_GET(self):
                if folder:
                    return super().do_GET()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(Stub.PAGE)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        os.environ["VIZTRACER_UI_URL"] = self.url
        return self

    def __exit__(self, *_):
        del os.environ["VIZTRACER_UI_URL"]
        self.server.shutdown()
        self.server.server_close()


def patient(b):
    """The page waits 8 s for the public UI before it shows another one; a busy machine may need longer."""
    b.call("Page.addScriptToEvaluateOnNewDocument",
           source="{ const later = setTimeout; window.setTimeout = (f, ms, ...more) => later(f, ms === 8000 ? 1e6 : ms, ...more); }")


def test_view_public_ui(b):
    patient(b)
    with Stub(), View(os.path.join(SAMPLES, "known.vzt")) as view:
        b.call("Page.addScriptToEvaluateOnNewDocument", source="addEventListener('message', e => { if (e.data.stub) window.got = e.data; })")
        b.open(view.url)
        got = b.wait("window.got")
        must(got["stub"] > 500 and got["head"] == 10 and got["title"] == "known.vzt", got)
        must("in the public Perfetto UI" in text(b, "#say"), text(b, "#say"))
        only_loopback(b)


def test_view_public_ui_loads_it(b):
    """The same message to the real UI."""
    patient(b)
    with Stub(ui_folder()), View(os.path.join(SAMPLES, "known.vzt")) as view:
        b.open(view.url)
        b.wait("document.getElementById('say').textContent.includes('in the public Perfetto UI')")
        frame = b.call("Page.getFrameTree")["frameTree"]["childFrames"][0]["frame"]["id"]
        world = b.call("Page.createIsolatedWorld", frameId=frame)["executionContextId"]
        inside = ""
        for _ in range(450):
            inside = b.call("Runtime.evaluate", contextId=world, expression="document.title + document.body.innerText")["result"]["value"]
            if "MainProcess 100" in inside:
                break
            time.sleep(0.2)
        must("MainProcess 100" in inside and "known.vzt" in inside, "the UI shows", inside[:300])
        shot(b, "public-ui")


def test_view_folder(b):
    with View(SAMPLES) as view:
        b.open(view.url)
        links = b.evaluate("[...document.querySelectorAll('a')].map(a => a.innerText)")
        must("known.vzt" in links and "shop.py" not in links and "log" not in links, links)
        b.evaluate("[...document.querySelectorAll('tr')].find(r => r.innerText.includes('known.vzt')).querySelectorAll('a')[1].click()")
        b.wait("window.viztracer && location.pathname.endsWith('/-/page')")
        same(b.evaluate("viztracer.ready"), "ready")


def test_view_flamegraph(b):
    with View("--flamegraph", os.path.join(SAMPLES, "known.vzt")) as view:
        b.open(view.url)
        same(b.evaluate("document.documentElement.tagName"), "svg")
        must("Store.query" in b.evaluate("document.documentElement.textContent"), "no Store.query in the flame graph")
        shot(b, "flamegraph")


def test_svg_is_as_wide_as_its_window(b):
    out = os.path.join(SAMPLES, "known.svg")
    subprocess.run([TOOL, "convert", "--quiet", os.path.join(SAMPLES, "known.vzt"), "-o", out], check=True, timeout=120)
    frame = lambda name: "[...document.querySelectorAll('#frames > svg')].find(f => f.firstChild.textContent.startsWith('%s'))" % name
    edges = lambda name: b.evaluate("(r => [r.left, r.right])(%s.querySelector('rect').getBoundingClientRect())" % frame(name))
    label = lambda name: b.evaluate("%s.querySelector('text').textContent" % frame(name))
    place = " (%s/shop.py:" % SAMPLES
    b.open("file://" + out)
    for width in (800, 1700):
        b.size(width, 600)
        quiet(b)
        left, right = edges("all")
        must(0 < left < 20 and width - 20 < right < width, "in a window of", width, "it is from", left, "to", right)
        same(b.evaluate("document.documentElement.scrollWidth"), width)
    same(label("Shop.serve"), "Shop.serve" + place + "1)")
    b.size(120, 600)
    quiet(b)
    must(label("Shop.serve").startswith("Shop.serve"[:6]) and "(" not in label("Shop.serve"), "without room for its place:", label("Shop.serve"))
    b.size(1000, 600)
    b.evaluate("%s.dispatchEvent(new MouseEvent('click'))" % frame("Store.query"))
    quiet(b)
    left, right = edges("Store.query")
    must(left < 20 and right > 980, "zoomed it is from", left, "to", right)
    b.size(700, 600)
    quiet(b)
    must(edges("Store.query")[1] > 680, "zoomed, in a smaller window:", edges("Store.query"))
    b.key("Escape")
    quiet(b)
    must(edges("Store.query")[1] < 500, "Escape does not zoom out:", edges("Store.query"))
    same(b.errors, [])


def main():
    failed = skipped = 0
    tests = [(name, fn) for name, fn in globals().items() if name.startswith("test_")]
    wanted = os.environ.get("VT_CASE")
    if wanted:
        tests = [t for t in tests if wanted in t[0]]
    os.makedirs(SHOTS, exist_ok=True)
    with open(os.path.join(SAMPLES, "shop.py"), "w") as f:
        f.write(SOURCE)
    for name, fn in tests:
        began = time.monotonic()
        try:
            if not find():
                raise Skip("chromium is not installed (tests/setup/deps.sh all)")
            with Browser() as b:
                b.size(1280, 800)
                fn(b)
            print("ok %s (%.1f s)" % (name, time.monotonic() - began))
        except Skip as cause:
            skipped += 1
            print("SKIP browser %s: %s" % (name, cause))
        except (AssertionError, Failed, OSError, subprocess.SubprocessError) as error:
            failed += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            last = [f for f in traceback.extract_tb(error.__traceback__) if f.name == name]
            print("test_browser.py:%d:F:%s: %s: %s" % ((last or [where])[-1].lineno, name, type(error).__name__, error))
    done = len(tests)
    print("%d%%: Checks: %d, Failures: %d, Errors: 0" % (100 * (done - failed) // max(done, 1), done, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
