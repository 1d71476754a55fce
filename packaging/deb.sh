#!/bin/bash
# Packs what `make install` put into ROOT, with PREFIX /usr, as a Debian package: deb.sh ROOT VERSION FOLDER. Needs dpkg-dev, which
# build-essential brings. Ends with 1 when lintian is installed and finds an error.
set -eu
usage="usage: deb.sh ROOT VERSION FOLDER"
root=${1:?$usage} version=${2:?$usage} folder=${3:?$usage}
here=$(cd "$(dirname "$0")" && pwd)
work=$root.work
out=$folder/viztracerd_${version}_$(dpkg --print-architecture).deb
rm -rf "$work"
mkdir -p "$work/debian" "$folder" "$root/DEBIAN"
mkdir -p "$root"/usr/{lib/viztracerd,share/doc/viztracerd,share/lintian/overrides,share/zsh/vendor-completions}

# ---- files where Debian has them ----
mv "$root"/usr/lib/*.so "$root/usr/lib/viztracerd/" # daemon/session/libraries.c looks there
mv "$root"/usr/share/zsh/site-functions/* "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
for extension in "$root"/usr/lib/python3/dist-packages/viztracer/*.so; do
    ln -sf ../../../viztracerd/libviztracer_agent.so "$extension"
done
for program in viztracer viztracerd; do strip --remove-section=.comment --remove-section=.note "$root/usr/bin/$program"; done
strip --strip-unneeded "$root"/usr/lib/viztracerd/*.so
gzip -9n "$root"/usr/share/man/man?/*
install -m 644 "$here/debian/copyright" "$root/usr/share/doc/viztracerd/"
install -m 644 "$here/debian/lintian-overrides" "$root/usr/share/lintian/overrides/viztracerd"
install -m 755 "$here/debian/postinst" "$here/debian/prerm" "$root/DEBIAN/"
date=$(date -R -u ${SOURCE_DATE_EPOCH:+-d "@$SOURCE_DATE_EPOCH"})
printf 'viztracerd (%s) unstable; urgency=medium\n\n  * Built by make deb.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' "$here/debian/control")" "$date" | gzip -9n >"$root/usr/share/doc/viztracerd/changelog.gz"
find "$root" -type d -exec chmod 755 '{}' +

# ---- metadata ----
printf 'Source: viztracerd\n\nPackage: viztracerd\nArchitecture: any\n' >"$work/debian/control" # dpkg-shlibdeps wants one
depends=$(cd "$work" && dpkg-shlibdeps -O "$root/usr/bin/viztracer" "$root/usr/bin/viztracerd" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ] || { echo "deb: dpkg-shlibdeps finds no package for the libraries of viztracer" >&2; exit 1; }
sed -e "s/@VERSION@/$version/; s/@ARCH@/$(dpkg --print-architecture)/; s/@DEPENDS@/$depends/" \
    -e "s/@SIZE@/$(du -k -s --apparent-size --exclude=DEBIAN "$root" | cut -f1)/" "$here/debian/control" >"$root/DEBIAN/control"
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/md5sums"
dpkg-deb --root-owner-group --build "$root" "$out.tmp" >/dev/null
mv "$out.tmp" "$out"
rm -rf "$work"
echo "$out ($(stat -c %s "$out") bytes)"
if command -v lintian >/dev/null; then lintian --fail-on error "$out"; else echo "note: lintian is not installed: the package is not checked"; fi
