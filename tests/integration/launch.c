/* Programs that are started under trace: stdout, stderr and exit status are those of a bare run, and the trace begins and ends
 * with the program's own code. Each case is a command line for the shell or for viztracer (run_expand). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base.h"
#include "tests/lib/run.h"
#include "tests/lib/suite.h"

#define WORDS_MAX 32

/* ---- cases ---- */

enum {
    SHELL = 1,
    NOT_IN_ROOT = 2,
    NO_TRACE = 4,
    TERMINAL = 8,
    EVERYWHERE = 16,  /* else only on the versions of `some` */
    FEW = 32,         /* only on the first one of the old and one of the new kind of hooks */
    NO_TERMINAL = 64, /* does something else on a terminal */
    NO_EXEC = 128     /* the trace does not begin with builtins.exec */
};
struct test_case {
    const char *name, *line, *input;
    unsigned flags;
    const char *calls; /* a function, and how often it is called; NULL = marked, once */
    size_t n;
    const char *ends;    /* what the trace says about the end; NULL = nothing */
    const char *options; /* one more of viztracer's, --name=value; NULL = none */
};
#define PROGRAM "$PY $T/launched.py "
static const struct test_case cases[] = {
    {.name = "script", .line = PROGRAM "show_process a -o b", .flags = EVERYWHERE},
    {.name = "environment", .line = PROGRAM "show_environment", .flags = EVERYWHERE},
    {.name = "stack", .line = PROGRAM "show_stack", .flags = EVERYWHERE},
    {.name = "stdin", .line = PROGRAM "echo", .input = "some\ntext"},
    {.name = "exit", .line = PROGRAM "exit 3", .ends = "exit status 3", .flags = EVERYWHERE},
    {.name = "exit-now", .line = PROGRAM "exit_now 7", .ends = "exit status 7"},
    {.name = "exception", .line = PROGRAM "fail", .ends = "exit status 1", .flags = EVERYWHERE},
    {.name = "sigkill", .line = PROGRAM "kill_self 9", .ends = "killed by SIGKILL", .flags = EVERYWHERE},
    {.name = "sigsegv", .line = PROGRAM "kill_self 11", .ends = "killed by SIGSEGV"},
    {.name = "sigterm", .line = PROGRAM "kill_self 15", .ends = "killed by SIGTERM"},
    {.name = "sigint", .line = PROGRAM "kill_self 2", .ends = "killed by SIGINT"},
    {.name = "abort", .line = PROGRAM "abort", .ends = "killed by SIGABRT"},
    {.name = "bad-address", .line = PROGRAM "read_memory", .ends = "killed by SIGSEGV"},
    {.name = "recursion", .line = PROGRAM "overflow", .flags = EVERYWHERE},
    {.name = "exit-in-thread", .line = PROGRAM "exit_in_thread"},
    {.name = "exit-functions", .line = PROGRAM "exit_functions", .calls = "at_the_end", .n = 0, .flags = EVERYWHERE},
    {.name = "fork", .line = PROGRAM "fork"},
    {.name = "child", .line = PROGRAM "run_child"},
    {.name = "exec", .line = PROGRAM "exec_other"},
    {.name = "threads", .line = PROGRAM "threads", .calls = "called", .n = 400, .flags = EVERYWHERE},
    {.name = "audit-hook", .line = PROGRAM "hook_audit"},
    {.name = "code", .line = "$PY -c 'def f(): print(1)\nf()' q", .calls = "f", .n = 1, .flags = EVERYWHERE},
    {.name = "module", .line = "$PY -m launched exit 4", .ends = "exit status 4", .flags = EVERYWHERE},
    {.name = "isolated", .line = "$PY -I $T/launched.py show_process"},
    {.name = "no-site", .line = "$PY -E -S $T/launched.py show_stack"},
    {.name = "program-on-stdin",
     .line = "$PY - x",
     .input = "def f(): print(3)\nf()\n",
     .calls = "f",
     .n = 1,
     .flags = EVERYWHERE},
    {.name = "below-a-shell", .line = PROGRAM "show_stack; echo $?", .flags = SHELL},
    {.name = "clean-environment", .line = "env -i $PY $T/launched.py show_environment", .flags = NOT_IN_ROOT},
    {.name = "other-preload", .line = "env LD_PRELOAD= FOO=1 " PROGRAM "show_environment", .flags = NOT_IN_ROOT},
    {.name = "nohup", .line = "nohup " PROGRAM "show_process", .flags = NO_TERMINAL},
    {.name = "closed-descriptors", .line = PROGRAM "show_process <&- 2>&-", .flags = SHELL},
    {.name = "make", .line = "printf 'a:\\n\\t@" PROGRAM "show_stack\\n' | make -f -", .flags = SHELL},
    {.name = "logged-script", .line = PROGRAM "show_process a -o b", .options = "--log_var=.*", .flags = EVERYWHERE},
    {.name = "logged-exception", .line = PROGRAM "fail", .options = "--log_var=.*", .ends = "exit status 1", .flags = EVERYWHERE},
    {.name = "logged-stack", .line = PROGRAM "show_stack", .options = "--log_func_exec=.*"},
    {.name = "logged-environment", .line = PROGRAM "show_environment", .options = "--log_exception"},
    {.name = "logged-exit", .line = PROGRAM "exit 3", .options = "--log_func_entry=.*", .ends = "exit status 3"},
    {.name = "logged-exit-functions",
     .line = PROGRAM "exit_functions",
     .options = "--log_attr=.*",
     .calls = "at_the_end",
     .n = 0},
    {.name = "logged-recursion", .line = PROGRAM "overflow", .options = "--log_var=n"},
    {.name = "logged-threads", .line = PROGRAM "threads", .options = "--log_number=.*", .calls = "called", .n = 400},
    {.name = "logged-code",
     .line = "$PY -c 'def f(): x = 1; print(x)\nf()' q",
     .options = "--log_var=x",
     .calls = "f",
     .n = 1,
     .flags = EVERYWHERE},
    {.name = "logged-module",
     .line = "$PY -m launched exit 4",
     .options = "--magic_comment",
     .ends = "exit status 4",
     .flags = EVERYWHERE},
    {.name = "logged-program-on-stdin",
     .line = "$PY - x",
     .input = "def f(): x = 3; print(x)\nf()\n",
     .options = "--log_var=x",
     .calls = "f",
     .n = 1},
    {.name = "logged-run-path",
     .line = "d=$(mktemp -d); cd $d; printf 'def f():\\n x = 3\\n 1 / 0\\nf()\\n' >a.py; $PY -c 'import runpy; "
             "runpy.run_path(\"a.py\")'; r=$?; cd /; rm -r $d; exit $r",
     .options = "--log_var=.*",
     .flags = SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "logged-package",
     .line =
         "d=$(mktemp -d); cd $d; mkdir p; : >p/__init__.py; printf 'def f():\\n x = 3\\n 1 / 0\\nf()\\n' >p/__main__.py; $PY -m "
         "p 2>err; r=$?; sed s,$d,, err >&2; cd /; rm -r $d; exit $r",
     .options = "--log_var=.*",
     .flags = SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "logged-terminal", .line = PROGRAM "show_process", .options = "--log_var=.*", .flags = TERMINAL},
    {.name = "audited-script", .line = PROGRAM "show_process a -o b", .options = "--log_audit=.*"},
    {.name = "audited-exception", .line = PROGRAM "fail", .options = "--log_audit", .ends = "exit status 1"},
    {.name = "audited-hook", .line = PROGRAM "hook_audit", .options = "--log_audit=.*"},
    {.name = "audited-fork", .line = PROGRAM "fork", .options = "--log_audit=.*"},
    {.name = "audited-child", .line = PROGRAM "run_child", .options = "--log_audit=.*"},
    {.name = "audited-threads", .line = PROGRAM "threads", .options = "--log_audit=.*", .calls = "called", .n = 400},
    {.name = "optimized",
     .line = "$PY -OO -c 'def f(): print(5)\nf()\nassert 0\nprint(f.__doc__, __debug__)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "developer-mode",
     .line = "$PY -X dev -c 'def f(): print(5)\nf()\nimport warnings; warnings.warn(\"shown\", ResourceWarning)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "warnings-are-errors",
     .line = "$PY -W error -c 'def f(): print(5)\nf()\nimport warnings; warnings.warn(\"raised\")'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 1"},
    {.name = "unbuffered",
     .line = "$PY -u -c 'def f(): print(5)\nf()\nimport sys; print(sys.stdout.write_through)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "bytes-warnings",
     .line = "$PY -bb -c 'def f(): print(5)\nf()\nstr(b\"x\")'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 1"},
    {.name = "no-bytecode",
     .line = "$PY -B -c 'def f(): print(5)\nf()\nimport sys; print(sys.dont_write_bytecode)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "utf8-mode",
     .line = "$PY -X utf8 -c 'def f(): print(5)\nf()\nimport sys; print(sys.flags.utf8_mode)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "tracemalloc",
     .line = "$PY -X tracemalloc -c 'def f(): print(5)\nf()\nimport tracemalloc; print(tracemalloc.is_tracing())'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "fault-handler",
     .line = "$PY -X faulthandler -c 'def f(): print(5)\nf()\nimport faulthandler; print(faulthandler.is_enabled())'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "exit-text",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport sys; sys.exit(\"a text\")'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 1"},
    {.name = "exit-none",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport sys; sys.exit(None)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "exit-large",
     .line = "$PY  -c 'def f(): print(5)\nf()\nraise SystemExit(257)'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 1"},
    {.name = "exit-of-a-base-exception",
     .line = "$PY  -c 'def f(): print(5)\nf()\nraise GeneratorExit'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 1"},
    {.name = "keyboard-interrupt",
     .line = "$PY  -c 'def f(): print(5)\nf()\nraise KeyboardInterrupt'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "killed by SIGINT"},
    {.name = "exception-in-a-thread",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport threading; t = threading.Thread(target=lambda: 1 / 0, name=\"t\"); "
             "t.start(); t.join()'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "exception-at-exit",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport atexit; atexit.register(lambda: 1 / 0)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "exception-in-a-finalizer",
     .line = "$PY  -c 'def f(): print(5)\nf()\nclass A:\n def __del__(self): 1 / 0\na = A(); del a'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "exception-hook",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport sys; sys.excepthook = lambda *e: print(e[0]); 1 / 0'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 1"},
    {.name = "exception-group-of-causes",
     .line = "$PY  -c 'def f(): print(5)\nf()\ntry: 1 / 0\nexcept ZeroDivisionError as e: raise KeyError(2) from e'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 1"},
    {.name = "daemon-thread",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport threading, time; threading.Thread(target=time.sleep, args=(60,), "
             "daemon=True).start()'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "closed-stdout",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport os, sys; sys.stdout.flush(); os.close(1)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "exit-now-in-a-thread",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport os, sys, threading; sys.stdout.flush(); threading.Thread(target=os._exit, "
             "args=(6,)).start(); threading.Event().wait()'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "exit status 6"},
    {.name = "dead-by-own-alarm",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport signal, time; signal.setitimer(signal.ITIMER_REAL, 0.01); time.sleep(60)'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "killed by SIGALRM"},
    {.name = "c-stack-overflow",
     .line = "$PY -c 'def f(): print(5)\nf()\nimport ctypes, sys; sys.stdout.flush(); "
             "ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(4096), b\"(\" * 3000000, 1)'",
     .flags = FEW,
     .calls = "f",
     .n = 1,
     .ends = "killed by SIGSEGV"},
    {.name = "shim",
     .line = "d=$(mktemp -d); printf '#!/bin/sh\\nexec %s \"$@\"\\n' \"$(command -v $PY)\" >$d/python3; chmod +x $d/python3; "
             "PATH=$d:$PATH; "
             "env python3 -c 'import sys\ndef f(): print(sys.executable, sys.argv)\nf()' a; r=$?; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "asyncio",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport asyncio; asyncio.run(asyncio.sleep(0))'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "asyncio-subprocess",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport asyncio\nasync def m():\n p = await "
             "asyncio.create_subprocess_exec(\"echo\", \"child\"); print(await p.wait())\nasyncio.run(m())'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "pipe-of-a-child",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport subprocess; print(subprocess.run([\"cat\"], input=b\"through\", "
             "stdout=subprocess.PIPE).stdout)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "code-of-the-main-module",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport __main__, sys; print(__main__.f is f, sys.modules[\"__main__\"].__dict__ "
             "is globals())'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "profile-and-trace",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport sys; print(sys.getprofile(), sys.gettrace(), sys._getframe().f_back)'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "settrace",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport sys; n = []; sys.settrace(lambda *a: n.append(a[1])); f(); "
             "sys.settrace(None); print(n)'",
     .flags = FEW,
     .calls = "f",
     .n = 2},
    {.name = "setuid",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport os; os.setresuid(65534, 65534, 65534); print(os.getuid())'",
     .flags = FEW | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "folder-that-is-gone",
     .line = "$PY  -c 'def f(): print(5)\nf()\nimport os; os.mkdir(\"/tmp/vt-gone-%d\" % os.getpid()); "
             "os.chdir(\"/tmp/vt-gone-%d\" % os.getpid()); os.rmdir(os.getcwd()); print(os.path.exists(\".\"))'",
     .flags = FEW,
     .calls = "f",
     .n = 1},
    {.name = "no-arguments-but-a-pipe",
     .line = "printf 'def f(): print(5)\\nf()\\n' | $PY",
     .flags = FEW | SHELL,
     .calls = "f",
     .n = 1},
    {.name = "folder",
     .line = "d=$(mktemp -d); printf 'def f(): print(5, __name__, __package__)\\nf()\\n' >$d/__main__.py; $PY $d; r=$?; rm -r "
             "$d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "zip-file",
     .line = "d=$(mktemp -d); printf 'def f(): print(5, __name__, __package__)\\nf()\\n' >$d/__main__.py; cd $d; $PY -m zipfile "
             "-c a.zip __main__.py; $PY a.zip; r=$?; cd /; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "package",
     .line = "d=$(mktemp -d); printf 'def f(): print(5, __name__, __package__)\\nf()\\n' >$d/__main__.py; mkdir $d/p; mv "
             "$d/__main__.py $d/p; echo 'print(6)' >$d/p/__init__.py; cd $d; $PY -m p; r=$?; cd /; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "compiled-file",
     .line = "d=$(mktemp -d); printf 'def f(): print(5, __name__, __package__)\\nf()\\n' >$d/__main__.py; cd $d; $PY -m "
             "py_compile __main__.py; $PY __pycache__/*.pyc; r=$?; cd /; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "compiled-file-alone",
     .line = "d=$(mktemp -d); printf 'def f(): print(5, __name__, __package__)\\nf()\\n' >$d/__main__.py; cd $d; $PY -m "
             "compileall -q -b . >&2; $PY __main__.pyc; r=$?; cd /; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "executable-script",
     .line = "d=$(mktemp -d); printf 'def f(): print(5, __name__, __package__)\\nf()\\n' >$d/__main__.py; { echo \"#!$(command "
             "-v $PY)\"; cat $d/__main__.py; } >$d/tool; chmod +x $d/tool; $d/tool; r=$?; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "symbolic-link-to-the-script",
     .line = "d=$(mktemp -d); printf 'def f(): print(5, __name__, __package__)\\nf()\\n' >$d/__main__.py; ln -s $d/__main__.py "
             "$d/link; $PY $d/link; r=$?; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "script-with-another-encoding",
     .line = "d=$(mktemp -d); printf '# coding: latin-1\\ndef f(): print(len(\"\\351\"))\\nf()\\n' >$d/a.py; $PY $d/a.py; r=$?; "
             "rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "script-with-a-mark-and-line-ends",
     .line = "d=$(mktemp -d); printf '\\357\\273\\277def f(): print(5)\\r\\nf()\\r\\n' >$d/a.py; $PY $d/a.py; r=$?; rm -r $d; "
             "exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "name-with-blanks",
     .line = "d=$(mktemp -d); printf 'def f(): print(5)\\nf()\\n' >\"$d/a b é.py\"; $PY \"$d/a b é.py\"; r=$?; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "virtual-environment",
     .line = "d=$(mktemp -d); $PY -m venv --without-pip $d/v && $d/v/bin/python -c 'import sys\ndef f(): print(sys.prefix != "
             "sys.base_prefix)\nf()'; r=$?; rm -r $d; exit $r",
     .flags = FEW | SHELL | NOT_IN_ROOT,
     .calls = "f",
     .n = 1},
    {.name = "no-script", .line = "$PY $T/no-such-file.py", .flags = NO_TRACE},
    {.name = "sanitizer-on-the-way", .line = "$A && " PROGRAM "nothing", .flags = SHELL | NOT_IN_ROOT},
    {.name = "static-on-the-way", .line = "$A-static && " PROGRAM "nothing", .flags = SHELL | NOT_IN_ROOT | FEW},
    {.name = "seccomp-filter",
     .line = "$B/../tests/integration/envs --seccomp " PROGRAM "nothing",
     .flags = NO_TRACE | NOT_IN_ROOT},
    {.name = "no-python", .line = "true", .flags = NO_TRACE},
    {.name = "terminal", .line = PROGRAM "show_terminal", .input = "line\n", .flags = TERMINAL},
    {.name = "terminal-process", .line = PROGRAM "show_process", .flags = TERMINAL},
    {.name = "terminal-exit", .line = PROGRAM "exit 3", .flags = TERMINAL, .ends = "exit status 3"},
    {.name = "terminal-interrupt", .line = PROGRAM "interrupted", .input = "\003", .flags = TERMINAL, .ends = "killed by SIGINT"},
};

static void run_line(struct run *r, const struct test_case *c, bool terminal, const char *line, const char *output) {
    char tool[PATH_MAX], direct[RUN_TEXT_MAX];
    char *words[WORDS_MAX] = {0};
    size_t n = 0;
    snprintf(tool, sizeof tool, "%s/viztracer", tree_bin());
    if (output) {
        const char *const own[] = {tool, "--quiet", "-o", output, c->options, "--"};
        for (size_t i = 0; i < VT_ARRAY_LEN(own); i++)
            if (own[i]) words[n++] = (char *)(uintptr_t)own[i];
    }
    /* With exec the shell becomes the program; else the program is its child. */
    snprintf(direct, sizeof direct, "%s%s", c->flags & SHELL ? "" : "exec ", line);
    words[n++] = (char *)(uintptr_t) "sh";
    words[n++] = (char *)(uintptr_t) "-c";
    words[n++] = direct;
    run_start(r, words, terminal);
    if (c->input && c->input[0] == '\003')
        ck_assert_msg(run_read_until(r, "ready\r\n"), "%s: not ready: %s", c->name, r->text[0]);
    if (c->input) ck_assert_int_eq(write(r->in, c->input, strlen(c->input)), (ssize_t)strlen(c->input));
    if (!terminal) {
        close(r->in);
        r->in = -1;
    }
    run_finish(r, line);
}

static bool has_mark(const struct trace *t, const char *text) {
    for (size_t i = 0; i < t->n; i++)
        if (t->events[i].ph == 'i' && strstr(t->events[i].name, "process ended: "))
            return text && strstr(t->events[i].name, text);
    return !text;
}

static void must_be_traced(const struct test_case *c, const char *output, const char *who) {
    struct trace t;
    must_load(&t, output, who);
    const char *function = c->calls ? c->calls : "marked";
    size_t want = c->calls ? c->n : 1, got = trace_count(&t, function, 0);
    ck_assert_msg(got == want, "%s: %zu calls of %s instead of %zu", who, got, function, want);
    ck_assert_msg(has_mark(&t, c->ends), "%s: the trace does not say %s", who, c->ends ? c->ends : "that all was well");
    /* VizTracer's first calls; a module has runpy's before */
    const struct trace_event *exec = trace_find(&t, "builtins.exec", NULL), *module = trace_find(&t, "<module>", NULL);
    ck_assert_msg(c->flags & NO_EXEC || (exec && module && exec->ts < module->ts), "%s: no builtins.exec around <module>", who);
    trace_free(&t);
}

static void compare(const struct interp *ip, const struct test_case *c, bool terminal) {
    static struct run bare, traced;
    char line[RUN_TEXT_MAX], who[256], inside[PATH_MAX], script[PATH_MAX];
    snprintf(who, sizeof who, "%s on %s%s", c->name, ip->version, terminal ? ", on a terminal" : "");
    if (c->flags & NOT_IN_ROOT && ip->root[0]) skip_test("%s: its line does not fit a chroot", who);
    snprintf(script, sizeof script, "%s/tests/targets/launched.py", tree_root());
    ck_assert(!target_copy_in(ip, script, inside, sizeof inside));
    run_expand(ip, c->line, line, sizeof line);
    const char *output = temp_path(".json");
    run_line(&bare, c, terminal, line, NULL);
    run_line(&traced, c, terminal, line, output);
    bool unsaved = c->flags & NO_TRACE && !bare.status;
    if (unsaved) bare.status = 1 << 8;
    ck_assert_msg(bare.status == traced.status, "%s: status %x instead of %x: %s%s", who, (unsigned)traced.status,
                  (unsigned)bare.status, traced.text[0], traced.text[1]);
    ck_assert_msg(!strcmp(bare.text[0], traced.text[0]), "%s: stdout\n%.1500s\ninstead of\n%.1500s", who, traced.text[0],
                  bare.text[0]);
    if (c->flags & NO_TRACE) {
        ck_assert_msg(strstr(traced.text[1], "no Python code; nothing was saved"), "%s: %s", who, traced.text[1]);
        ck_assert_msg(access(output, F_OK), "%s: there is an output", who);
        return;
    }
    ck_assert_msg(!strcmp(bare.text[1], traced.text[1]), "%s: stderr\n%.1500s\ninstead of\n%.1500s", who, traced.text[1],
                  bare.text[1]);
    must_be_traced(c, output, who);
    unlink(output);
}

START_TEST(test_launch_is_like_a_bare_run) {
    const struct test_case *c = &cases[suite_row(_i)];
    compare(suite_interp(_i), c, c->flags & TERMINAL);
}
END_TEST

START_TEST(test_launch_is_like_a_bare_run_on_a_terminal) { compare(suite_interp(_i), &cases[suite_row(_i)], true); }
END_TEST

/* ---- signals that are sent to viztracer ---- */

static void start_waiting(struct run *r, const struct interp *ip, const char *what, const char *output) {
    char line[RUN_TEXT_MAX], inside[PATH_MAX], script[PATH_MAX], tool[PATH_MAX];
    snprintf(script, sizeof script, "%s/tests/targets/launched.py", tree_root());
    ck_assert(!target_copy_in(ip, script, inside, sizeof inside));
    snprintf(tool, sizeof tool, "exec %.1000s/viztracer --quiet -o %.1000s -- " PROGRAM "%s", tree_bin(), output, what);
    run_expand(ip, tool, line, sizeof line);
    run_start(r, (char *const[]){(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", line, NULL}, false);
    ck_assert_msg(run_read_until(r, "ready"), "%s on %s: not ready: %s%s", what, ip->version, r->text[0], r->text[1]);
}

START_TEST(test_launch_passes_a_signal_on) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    const char *output = temp_path(".json");
    start_waiting(&r, ip, "wait_for_signal 15 10", output);
    kill(r.pid, SIGTERM);
    run_finish(&r, "wait_for_signal");
    ck_assert_msg(strstr(r.text[0], "[15]") && WIFEXITED(r.status) && !WEXITSTATUS(r.status), "%s: %s", ip->version, r.text[0]);
    unlink(output);
    start_waiting(&r, ip, "interrupted", output);
    kill(r.pid, SIGINT);
    run_finish(&r, "interrupted");
    ck_assert_msg(WIFSIGNALED(r.status) && WTERMSIG(r.status) == SIGINT, "%s: status %x", ip->version, (unsigned)r.status);
    ck_assert_msg(!access(output, F_OK), "%s: nothing was saved", ip->version);
    unlink(output);
}
END_TEST

/* One to the process group reaches the program once; one to viztracer alone comes behind it. */
START_TEST(test_launch_signal_to_the_group_comes_once) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    const char *output = temp_path(".json");
    start_waiting(&r, ip, "count_signals", output);
    kill(r.pid, SIGSTOP); /* so that a second one would not melt into the first */
    kill(-r.pid, SIGUSR1);
    ck_assert_msg(run_read_until(&r, "got 10"), "%s: %s%s", ip->version, r.text[0], r.text[1]);
    kill(r.pid, SIGUSR2);
    kill(r.pid, SIGCONT);
    run_finish(&r, "count_signals");
    ck_assert_msg(strstr(r.text[0], "[10, 12]") && !r.status, "%s: status %x: %s", ip->version, (unsigned)r.status, r.text[0]);
    unlink(output);
}
END_TEST

/* As a shell does it for Ctrl+Z and fg. */
START_TEST(test_launch_stops_and_goes_on_with_the_program) {
    const struct interp *ip = suite_interp(_i);
    static struct run r;
    int status = 0;
    const char *output = temp_path(".json");
    start_waiting(&r, ip, "wait_for_signal 10", output);
    kill(-r.pid, SIGTSTP);
    ck_assert(waitpid(r.pid, &status, WUNTRACED) == r.pid);
    ck_assert_msg(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP, "%s: status %x", ip->version, (unsigned)status);
    kill(-r.pid, SIGCONT);
    kill(r.pid, SIGUSR1);
    run_finish(&r, "wait_for_signal");
    ck_assert_msg(strstr(r.text[0], "[10]") && !r.status, "%s: status %x: %s", ip->version, (unsigned)r.status, r.text[0]);
    ck_assert_msg(!access(output, F_OK), "%s: nothing was saved", ip->version);
    unlink(output);
}
END_TEST

/* Whoever started the client may have blocked SIGCHLD. The client sees the end of a program that has no interpreter, and the
 * program has the same mask. */
START_TEST(test_launch_ends_where_sigchld_is_blocked) {
    struct tool tool;
    sigset_t set, before;
    const char *output = temp_path(".json");
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &before);
    tool_startf(&tool, "run -o %s /bin/grep SigBlk /proc/self/status", output);
    sigprocmask(SIG_SETMASK, &before, NULL);
    tool_wait(&tool, 20000);
    ck_assert_msg(!tool.timed_out, "it did not end: %s%s", tool.out, tool.err);
    ck_assert_msg(strstr(tool.out, "0000000000010000"), "the mask is another: %s", tool.out);
}
END_TEST

/* ---- set-up ---- */

/* Programs that a launch passes by: one that a preloaded library would keep from starting, and one that loads no library. */
static void build_passed_by(void) {
    char command[PATH_MAX];
    snprintf(
        command, sizeof command,
        "echo 'int main(void) { return 0; }' | gcc -fsanitize=address -x c -o %s/asan - && LD_PRELOAD=%s/%s %s/asan 2>&1 | "
        "grep -q 'runtime does not come first' && echo 'int main(void) { return 0; }' | gcc -static -x c -o %s/asan-static -",
        run_folder, run_folder, "libviztracer_launch.so", run_folder, run_folder);
    if (system(command)) {
        fprintf(stderr, "no program that refuses a preloaded library: %s\n", command);
        exit(1);
    }
}

/* One version for each kind of hook, the oldest, and one of another C library. */
static const int some[] = {8, 11, 12, 14}, few[] = {8, 12}, few_on_terminal[] = {12};

static void add_case(Suite *s, size_t row, const struct interp *ips, size_t n) {
    TCase *tc = tcase_create(cases[row].name);
    tcase_set_timeout(tc, 300);
    bool is_few = cases[row].flags & FEW;
    for (size_t i = 0; i < n; i++) {
        bool wanted = cases[row].flags & EVERYWHERE, on_terminal = false, second = i && ips[i - 1].minor == ips[i].minor;
        const int *on = is_few ? few : some, *terminals = is_few ? few_on_terminal : some;
        size_t non = is_few ? VT_ARRAY_LEN(few) : VT_ARRAY_LEN(some), nterminals = is_few ? VT_ARRAY_LEN(few_on_terminal) : non;
        for (size_t k = 0; k < non; k++) wanted |= on[k] == ips[i].minor && !second;
        for (size_t k = 0; k < nterminals; k++) on_terminal |= terminals[k] == ips[i].minor && !second;
        int at = (int)(row * n + i);
        if (wanted) tcase_add_loop_test(tc, test_launch_is_like_a_bare_run, at, at + 1);
        bool other = cases[row].flags & (TERMINAL | NO_TRACE | NO_TERMINAL) || cases[row].input;
        if (on_terminal && !other) tcase_add_loop_test(tc, test_launch_is_like_a_bare_run_on_a_terminal, at, at + 1);
    }
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("launch");
    size_t n;
    const struct interp *ips = interp_list(&n);
    run_set_up();
    build_passed_by();
    for (size_t i = 0; i < VT_ARRAY_LEN(cases); i++) add_case(s, i, ips, n);
    suite_add(s, "signals", test_launch_passes_a_signal_on, 300);
    suite_add(s, "group", test_launch_signal_to_the_group_comes_once, 300);
    suite_add(s, "stops", test_launch_stops_and_goes_on_with_the_program, 300);
    suite_add_once(s, "sigchld-blocked", test_launch_ends_where_sigchld_is_blocked, 60);
    int rc = suite_main(s);
    run_clean_up();
    return rc;
}
