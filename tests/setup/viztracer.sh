#!/bin/bash
# Installs VizTracer from PyPI for each interpreter that it knows, to compare with in benchmarks: viztracer.sh FOLDER. It goes to FOLDER/3.12
# and so on, for an interpreter in a chroot to /opt/viztracer there. Names each version that cannot be installed. Only benchmarks need it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:?usage: viztracer.sh FOLDER}
wanted=viztracer==1.1.1
host=
while read -r version path; do case $path in chroot:*) ;; *) host=$path ;; esac; done < <("$here/interpreters.sh")
"$here/interpreters.sh" | while read -r version path; do
    minor=${version%.*}
    [ "${minor#3.}" -ge 10 ] || { echo "skipped: VizTracer on $version: it needs 3.10"; continue; }
    case $path in
    chroot:*) root=${path#chroot:} to=${root%:*}/opt/viztracer/$minor python=$host
        options="--python-version $minor --implementation cp --only-binary=:all: --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform any" ;;
    *) to=$folder/$minor python=$path options= ;;
    esac
    [ -d "$to/viztracer" ] && continue
    mkdir -p "$to"
    if "$python" -m pip install -q --disable-pip-version-check --target "$to" $options "$wanted" >"$to.log" 2>&1; then
        echo "VizTracer for $version: $to"
    else
        echo "skipped: VizTracer on $version: $(grep -iE 'error' "$to.log" | tail -n 1 | cut -c1-150)"
    fi
done
exit 0
