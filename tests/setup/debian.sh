# For scripts that make a root with debootstrap (sourced by them): the machine's own mirror, and apt inside such a root.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# Prints the address of the Debian mirror in apt's own settings, or nothing.
mirror() { apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" 2>/dev/null | grep -v security | grep -m1 '/debian/*$'; }

# apt_like_here ROOT: gives apt inside ROOT this machine's name resolution and proxies.
apt_like_here() {
    as_root cp /etc/resolv.conf "$1/etc/resolv.conf" 2>/dev/null
    [ -d /etc/apt/apt.conf.d ] && as_root sh -c "cat /etc/apt/apt.conf.d/*proxy* >'$1/etc/apt/apt.conf.d/90proxy'" 2>/dev/null
    return 0
}
