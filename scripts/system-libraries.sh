#!/usr/bin/env bash
# Sees to the system libraries that Qt and OpenGL need on Linux, and (unless --without-xvfb) to the virtual display.
# As root with apt it installs what is missing; otherwise it prints the command and exits with 3.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Linux ] || exit 0

# package, and how its presence shows: a library the loader knows or a command. The name of the package may differ
# between releases (libglib2.0-0t64), the name of the library does not.
needed="
    libegl1              libEGL.so.1
    libgl1               libGL.so.1
    libopengl0           libOpenGL.so.0
    libgl1-mesa-dri      -
    libglib2.0-0         libgthread-2.0.so.0
    libfontconfig1       libfontconfig.so.1
    libdbus-1-3          libdbus-1.so.3
    libxkbcommon-x11-0   libxkbcommon-x11.so.0
    libxcb-cursor0       libxcb-cursor.so.0
    libxcb-icccm4        libxcb-icccm.so.4
    libxcb-image0        libxcb-image.so.0
    libxcb-keysyms1      libxcb-keysyms.so.1
    libxcb-randr0        libxcb-randr.so.0
    libxcb-render-util0  libxcb-render-util.so.0
    libxcb-shape0        libxcb-shape.so.0
    libxcb-xinerama0     libxcb-xinerama.so.0
    libxcb-xkb1          libxcb-xkb.so.1
"
[ "${1:-}" = --without-xvfb ] || needed+="
    xvfb                 xvfb-run
    xauth                xauth
"

libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)

is_installed() {
    local package=$1 sign=$2
    case "$sign" in
        *.so.*) grep -qF "$sign " <<<"$libraries" ;;
        -) ! command -v dpkg-query >/dev/null || dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" ;;
        *) command -v "$sign" >/dev/null ;;
    esac
}

missing=()
while read -r package sign; do
    [ -z "$package" ] || is_installed "$package" "$sign" || missing+=("$package")
done <<<"$needed"
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing system libraries for Qt and OpenGL: ${missing[*]}" >&2
    scripts/apt-install.sh "${missing[@]}" && exit 0
fi
{
    echo "System libraries for the napari window are missing. Run this:"
    echo "    sudo apt-get install -y ${missing[*]}"
    command -v apt-get >/dev/null || echo "(Debian's names; your system has the same libraries under names of its own.)"
} >&2
exit 3
