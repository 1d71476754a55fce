#!/bin/bash
# Builds the wheel, installs it with an empty environment, and uses it: wheel.sh quick|venvs|old-debian.
#   quick       one environment: the newest interpreter here with pip, else without. Part of `make test`
#   venvs       each interpreter of tests/setup/interpreters.sh, also --user, --target and a moved environment
#   old-debian  a small root of Debian 10 and of Debian 11, each with its own glibc, pip and Python, and none of our libraries
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here" || exit 1
build=${BUILD:-build}
form=${1:?usage: wheel.sh quick|venvs|old-debian}
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
bad=0
fail() { echo "failed: $1"; bad=1; }
pythons() { tests/setup/interpreters.sh; }

MAKEFLAGS= MAKELEVEL= make --no-print-directory BUILD="$build" DIST="$temp/dist" wheel >"$temp/make.log" 2>&1 ||
    { echo "failed: make wheel"; tail -n 20 "$temp/make.log"; exit 1; }
wheel=$(echo "$temp"/dist/*.whl)
case $(basename "$wheel") in viztracerd-[0-9]*-py3-none-manylinux_2_17_x86_64.whl) ;; *) fail "the wheel is named $wheel" ;; esac
bytes=$(stat -c %s "$wheel")
[ "$bytes" -lt 2500000 ] || fail "the wheel has $bytes bytes"

# steps PYTHON OTHER STEP...
steps() {
    local folder
    folder=$(mktemp -d -p "$temp")
    timeout -k 10 400 tests/packaging/steps.sh "$1" "$2" "$wheel" "$folder" "${@:3}" || bad=1
    rm -rf "$folder"
}

quick() {
    local version path chosen=
    # The check that guards the tag: it names what the build's own programs need.
    packaging/check-glibc.sh 2.17 "$build/bin/viztracerd" >"$temp/log" 2>&1 && fail "check-glibc.sh finds nothing in $build/bin/viztracerd"
    grep -q 'pidfd_open (GLIBC_2.36)' "$temp/log" && grep -q 'needs libunwind' "$temp/log" || { fail "check-glibc.sh says:"; cat "$temp/log"; }
    # The same tree gives the same bytes, and an unpacked sdist gives the same sdist.
    MAKEFLAGS= MAKELEVEL= make --no-print-directory BUILD="$build" DIST="$temp/again" wheel >"$temp/log" 2>&1
    cmp "$wheel" "$temp/again/$(basename "$wheel")" || fail "a second wheel differs"
    if [ -e .git ]; then
        python3 -I packaging/backend.py sdist "$temp/sdist" >"$temp/log" 2>&1 && tar -xzf "$temp"/sdist/*.tar.gz -C "$temp" || { fail "sdist"; cat "$temp/log"; }
        python3 -I "$temp"/viztracerd-*/packaging/backend.py sdist "$temp/from-sdist" >"$temp/log" 2>&1 || { fail "sdist of an sdist"; cat "$temp/log"; }
        cmp <(gzip -dc "$temp"/sdist/*.tar.gz) <(gzip -dc "$temp"/from-sdist/*.tar.gz) || fail "the sdist of an sdist differs"
    else
        echo "SKIP wheel sdist: this tree is no git tree"
    fi
    # The agent is one file, and an editable install links to this tree.
    python3 -I - "$wheel" "$temp" <<'END' || fail "what is in the wheel, or in the editable one"
import subprocess, sys, zipfile
sys.dont_write_bytecode = True
sys.path.insert(0, "packaging")
import backend
with zipfile.ZipFile(sys.argv[1]) as wheel:
    libraries = sorted(name for name in wheel.namelist() if name.endswith(".so"))
if libraries != ["viztracer/_viztracer_agent.so", "viztracer/libviztracer_launch.so"]:
    sys.exit("the wheel has %s" % libraries)
made = backend.write_wheel(sys.argv[2], backend.links())
with zipfile.ZipFile(sys.argv[2] + "/" + made) as wheel:
    path = wheel.read("viztracerd.pth").decode().strip()
    script = wheel.read("%s-%s.data/scripts/viztracer" % (backend.NAME, backend.VERSION)).decode()
code = "import sys; sys.path.insert(0, sys.argv[1]); import viztracer; print(viztracer.__version__)"
told = subprocess.run([sys.executable, "-I", "-B", "-c", code, path], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
shown = subprocess.run(["sh", "-c", script, "sh", "--version"], stdout=subprocess.PIPE, check=True).stdout.decode()
if told != backend.VERSION or backend.VERSION not in shown:
    sys.exit("the editable wheel leads to %s and %s" % (told, shown))
END
    while read -r version path; do
        case $path in chroot:*) continue ;; esac
        if [ -z "$chosen" ] || "$path" -c 'import pip, ensurepip' 2>/dev/null; then chosen=$path; fi
    done < <(pythons)
    [ -n "$chosen" ] || { echo "SKIP wheel: no interpreter outside a chroot"; exit 77; }
    steps "$chosen" "$(realpath "$(command -v python3)")" install_venv use_venv imported api beside view alone uninstalled
}

# An interpreter in a chroot needs /proc there, and the wheel and the steps as files there.
in_chroot() { # ROOT STEP-ARGUMENTS...: PYTHON OTHER STEP...
    local root=$1 folder
    folder=$(mktemp -d -p "$root/tmp") || return 1
    cp "$wheel" tests/packaging/steps.sh tests/packaging/unpack.py "$folder/" && mkdir "$folder/work" || return 1
    timeout -k 10 400 unshare -m --propagation private sh -c 'mount -t proc proc "$1/proc" || exit 77; root=$1; shift; exec chroot "$root" /bin/sh "$@"' sh \
        "$root" "${folder#"$root"}/steps.sh" "$2" "$3" "${folder#"$root"}/$(basename "$wheel")" "${folder#"$root"}/work" "${@:4}"
    case $? in 0) ;; 77) echo "SKIP wheel in $root: /proc cannot be mounted there" ;; *) bad=1 ;; esac
    rm -rf --one-file-system "$folder"
}

venvs() {
    local version path previous='' all='install_venv use_venv imported api beside view moved alone user target uninstalled'
    # attached to from each: the interpreter before it in the list, so another version
    while read -r version path; do
        case $path in
        chroot:*) in_chroot "$(cut -d: -f2 <<<"$path")" "${path##*:}" /usr/bin/python3.14 $all ;;
        *)
            steps "$path" "${previous:-$(realpath "$(command -v python3)")}" $all
            previous=$path
            ;;
        esac
    done < <(pythons)
}

# A root of an older Debian, made once and kept in the cache.
old_root() { # SUITE ROOT
    local url
    [ -e "$2/.complete" ] && return 0
    [ "$(id -u)" = 0 ] || { echo "SKIP wheel on Debian $1: needs root"; return 1; }
    command -v debootstrap >/dev/null || { echo "SKIP wheel on Debian $1: debootstrap is not installed (make deps)"; return 1; }
    url=$(mirror)
    [ -n "$url" ] || { echo "SKIP wheel on Debian $1: apt knows no Debian mirror"; return 1; }
    case $2 in */old-debian/*) rm -rf --one-file-system "$2" ;; esac
    mkdir -p "$(dirname "$2")"
    timeout -k 10 600 debootstrap --variant=minbase --include=python3,python3-venv,python3-pip --keyring="$keyring" "$1" "$2" "$url" \
        >"$2.log" 2>&1 </dev/null || { echo "SKIP wheel on Debian $1: debootstrap fails: $(grep -m1 '^E:' "$2.log")"; return 1; }
    touch "$2/.complete"
}

old_debian() {
    local suite root
    . tests/setup/debian.sh
    for suite in buster bullseye; do
        root=${VT_CACHE:-$here/.cache}/old-debian/$suite
        old_root "$suite" "$root" || continue
        [ -z "$(find "$root/usr/lib" -name 'libmicrohttpd*' -o -name 'libprotobuf-c*' -o -name 'libyajl*')" ] || fail "$suite has libraries of ours"
        echo "Debian $suite: $(chroot "$root" ldd --version | head -n 1)"
        in_chroot "$root" /usr/bin/python3 /usr/bin/python3 install_venv use_venv imported api beside view moved alone user target uninstalled
    done
}

case $form in
quick) quick ;;
venvs) venvs ;;
old-debian) old_debian ;;
*) echo "usage: wheel.sh quick|venvs|old-debian" >&2; exit 2 ;;
esac
[ $bad = 0 ] && echo "wheel of $bytes bytes"
exit $bad
