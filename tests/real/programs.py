"""Programs of other people that are run bare and under trace: a table of name, module or command that it needs, files, command line
and what of its output is compared. Commands are for sh; $PY is the interpreter, $BIN the folder of its scripts."""

SOME_TESTS = """
import subprocess, sys
def test_ok(): assert sum(range(10)) == 45
def test_fails(): assert [1, 2, 3] == [1, 2, 4]
def test_raises():
    import pytest
    with pytest.raises(ZeroDivisionError): 1 / 0
def test_child(): assert subprocess.check_output([sys.executable, "-c", "print(7)"]) == b"7\\n"
def test_capture(capsys):
    print("shown")
    assert capsys.readouterr().out == "shown\\n"
def test_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("b")
    assert open("a").read() == "b"
import pytest
@pytest.mark.parametrize("n", range(40))
def test_many(n): assert n * 2 == n + n
@pytest.mark.skip(reason="no")
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert False
"""
MODULE = '''"""A module."""
import os
from typing import List


def total(values: List[int]) -> int:
    """Adds up."""
    result = 0
    for value in values:
        result += value
    return result


def wrong() -> str:
    """Returns no text."""
    return total([1, 2])


class  Ugly( object ):
    def x (self) :
        return  {  'a':1 }
'''
SERVER = """
import os, sys, signal, subprocess, time, urllib.request
port = 20000 + os.getpid() %% 20000
server = subprocess.Popen([sys.argv[1] if a == "%s" else a.replace("@", str(port)) for a in %r], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
answers = []
for _ in range(600):
    try:
        answers.append(urllib.request.urlopen("http://127.0.0.1:%%d/x" %% port, timeout=5).read())
    except OSError:
        time.sleep(0.05)
    if len(answers) == 30: break
server.send_signal(signal.%s)
print(len(answers), set(answers), server.wait(60))
"""
WSGI = "def app(environ, start):\n    start('200 OK', [('Content-Type', 'text/plain')])\n    return [b'hello ' + environ['PATH_INFO'].encode()]\n"
DJANGO = """
import django, sys
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
settings.configure(DEBUG=True, SECRET_KEY="x", ROOT_URLCONF="site_", ALLOWED_HOSTS=["*"], INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
                   DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
urlpatterns = [path("x", lambda request: HttpResponse("hello " + request.GET.get("a", "")))]
if __name__ == "__main__":
    sys.modules["site_"] = sys.modules["__main__"]
    django.setup()
    from django.core.management import call_command
    from django.test import Client
    from django.contrib.auth.models import User
    call_command("migrate", verbosity=0)
    for i in range(20): User.objects.create_user("user%d" % i, password=None)
    print(User.objects.filter(username__endswith="3").count(), [Client().get("/x?a=%d" % i).content for i in range(5)])
"""
FLASK = """
import flask
app = flask.Flask(__name__)
@app.route("/<name>")
def hello(name): return flask.render_template_string("<b>{{ name }}</b>", name=name)
client = app.test_client()
print([client.get("/%d" % i).data for i in range(5)], client.get("/a/b").status)
"""
JOBLIB = """
import os, joblib
def work(n): return n * n, os.getpid()
if __name__ == "__main__":
    found = joblib.Parallel(n_jobs=3)(joblib.delayed(work)(i) for i in range(60))
    print(sum(n for n, _ in found), len({pid for _, pid in found} - {os.getpid()}) in (1, 2, 3))
"""
LOKY = """
import os, loky
def work(n): return n * n
if __name__ == "__main__":
    with loky.ProcessPoolExecutor(3) as pool: print(sum(pool.map(work, range(60))))
"""
CELERY = """
import celery, os
here = os.getcwd()
app = celery.Celery("jobs", broker="filesystem://", backend="file://" + here + "/results")
app.conf.broker_transport_options = {"data_folder_in": here + "/queue", "data_folder_out": here + "/queue", "control_folder": here + "/control"}
@app.task
def add(a, b): return a + b
if __name__ == "__main__":
    import signal, subprocess, sys
    for name in ("results", "queue", "control"): os.mkdir(name)
    worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "jobs", "worker", "--pool", "prefork", "-c", "2", "--without-mingle", "--without-gossip", "--without-heartbeat", "-l", "ERROR"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    from jobs import add
    results = [add.delay(i, i) for i in range(20)]
    print(sum(r.get(timeout=100) for r in results))
    worker.send_signal(signal.SIGTERM)
    print(worker.wait(60))
"""
NUMPY = """
import numpy as np
a = np.arange(10000, dtype=float).reshape(100, 100)
print((a @ a).sum(), np.linalg.svd(a)[1][:2].round(3), np.fft.fft(a).real.sum().round(3), np.vectorize(lambda x: x + 1)(a).sum())
"""
PANDAS = """
import numpy as np, pandas as pd
f = pd.DataFrame({"a": np.arange(1000) % 7, "b": np.arange(1000.0)})
print(f.groupby("a").b.agg(["sum", "mean"]), f.merge(f, on="a").shape, f.apply(lambda row: row.a + row.b, axis=1).sum(), f.to_csv(index=False)[:40])
"""
HG = "set -e; export HGRCPATH=; hg() { $PY $BIN/hg --config ui.username=a \"$@\"; }; hg init r; cd r; for i in 1 2 3; do echo $i >>a; hg add -q a; hg commit -d '0 0' -m c$i; done; hg log; hg up -q 0; cat a; hg verify; hg update -q nothing || echo $?"
PLAY = """
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - command: echo {{ item }}
      loop: [1, 2]
    - copy: {content: text, dest: "{{ lookup('env', 'PWD') }}/copied"}
    - debug: {msg: "{{ lookup('file', 'copied') }}"}
"""

# Distributions leave out the modules that consist of these lines.
MULTIPROCESSING = "import unittest\nfrom test import _test_multiprocessing\n_test_multiprocessing.install_tests_in_module_dict(globals(), '%s')\nif __name__ == '__main__': unittest.main()\n"


def unittest(*names):
    return "$PY -m unittest -q " + " ".join("test." + name for name in names)


# What of the output is compared: "all" of both streams, "out" only stdout, or a pattern: the lines that match.
RESULT = r"^(Ran \d+ tests?|OK|FAILED|FAIL:|ERROR:)"
PYTEST = r"(passed|failed|^FAILED|^ERROR)"
PROGRAMS = [
    # name, needs, files, command, compared
    ("test_subprocess", "test.test_subprocess", {}, unittest("test_subprocess"), RESULT),
    ("test_threading", "test.test_threading", {}, unittest("test_threading"), RESULT),
    ("test_asyncio", "test.test_asyncio", {}, unittest("test_asyncio.test_events", "test_asyncio.test_tasks", "test_asyncio.test_subprocess", "test_asyncio.test_unix_events", "test_asyncio.test_base_events"), RESULT),
    ("test_multiprocessing fork", "test._test_multiprocessing", {"multi.py": MULTIPROCESSING % "fork"}, "$PY -m unittest -q multi", RESULT),
    ("test_multiprocessing spawn", "test._test_multiprocessing", {"multi.py": MULTIPROCESSING % "spawn"}, "$PY -m unittest -q multi", RESULT),
    ("test_multiprocessing forkserver", "test._test_multiprocessing", {"multi.py": MULTIPROCESSING % "forkserver"}, "$PY -m unittest -q multi", RESULT),
    ("test_concurrent_futures", "test.test_concurrent_futures", {}, unittest("test_concurrent_futures"), RESULT),
    ("test_os", "test.test_os", {}, unittest("test_os", "test_popen", "test_posix"), RESULT),
    ("test_unittest", "test.test_unittest|unittest.test", {}, "$PY -m unittest -q test.test_unittest || $PY -m unittest -q unittest.test", RESULT),
    ("pytest", "pytest", {"test_some.py": SOME_TESTS}, "$PY -m pytest -q -p no:cacheprovider", PYTEST),
    ("pytest-xdist", "xdist", {"test_some.py": SOME_TESTS}, "$PY -m pytest -q -n 3 -p no:cacheprovider", PYTEST),
    ("Django", "django", {"site_.py": DJANGO}, "$PY site_.py", "all"),
    ("Flask", "flask", {"a.py": FLASK}, "$PY a.py", "all"),
    ("gunicorn", "gunicorn", {"server.py": SERVER % ("PY", ["PY", "-m", "gunicorn", "-w", "3", "-b", "127.0.0.1:@", "wsgi:app"], "SIGTERM"), "wsgi.py": WSGI}, "$PY server.py $PY", "all"),
    ("uWSGI", "$BIN/uwsgi", {"server.py": SERVER % ("UWSGI", ["UWSGI", "--http-socket", "127.0.0.1:@", "--wsgi-file", "wsgi.py", "--callable", "app", "--master", "-p", "3", "--die-on-term"], "SIGTERM"), "wsgi.py": WSGI}, "$PY server.py $BIN/uwsgi", "all"),
    ("celery", "celery", {"jobs.py": CELERY}, "$PY jobs.py", "out"),
    ("joblib", "joblib", {"a.py": JOBLIB}, "$PY a.py", "all"),
    ("loky", "loky", {"a.py": LOKY}, "$PY a.py", "all"),
    ("mercurial", "$BIN/hg", {}, HG, "all"),
    ("ansible", "ansible", {"play.yml": PLAY}, "ANSIBLE_NOCOLOR=1 ANSIBLE_LOCALHOST_WARNING=0 $PY -m ansible playbook -e ansible_python_interpreter=$PY -i localhost, play.yml", "out"),
    ("sphinx", "sphinx", {"conf.py": "extensions = ['sphinx.ext.autodoc']\n", "index.rst": "Title\n=====\n\n.. automodule:: module\n   :members:\n", "module.py": MODULE}, "PYTHONPATH=. $PY -m sphinx -q -b text . out && cat out/index.txt", "all"),
    ("mypy", "mypy", {"module.py": MODULE}, "$PY -m mypy --cache-dir=/dev/null module.py", "all"),
    ("pylint", "pylint", {"module.py": MODULE}, "$PY -m pylint --persistent=n --score=n module.py", "all"),
    ("pylint -j 2", "pylint", {"module.py": MODULE, "other.py": MODULE}, "$PY -m pylint -j 2 --persistent=n --score=n -d duplicate-code module.py other.py | sort", "all"),
    ("black", "black", {"module.py": MODULE, "other.py": MODULE + "\n\n"}, "$PY -m black -q . ; cat module.py; $PY -m black --check -q . ; echo $?", "all"),
    ("numpy", "numpy", {"a.py": NUMPY}, "$PY a.py", "all"),
    ("pandas", "pandas", {"a.py": PANDAS}, "$PY a.py", "all"),
]
