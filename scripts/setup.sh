#!/usr/bin/env bash
# Makes .venv and installs the package into it, with the extras named in the first argument ("all", "all,test").
# The second time it finds its own notes in .venv and returns at once.
#
# PYTHON   the interpreter to use (default: the first of python3, python3.13, python3.12, python3.11 that will do)
# TORCH    what pip gets to install torch (default: the pinned version, as a CPU build where PyTorch's server answers)
set -euo pipefail
cd "$(dirname "$0")/.."

extras=$1
venv=.venv
pinned_torch="torch==2.13.0"
cpu_wheels="https://download.pytorch.org/whl/cpu"

say() { printf '%s\n' "$@" >&2; }
stop() { say "$@"; exit 1; }

is_supported() { "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_supported "$PYTHON" || stop "PYTHON=$PYTHON does not run or is not Python 3.11, 3.12 or 3.13; name one that is."
        echo "$PYTHON"
        return
    fi
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if is_supported "$name"; then
            echo "$name"
            return
        fi
    done
    stop "No Python 3.11, 3.12 or 3.13 was found; install one (Debian, Ubuntu: sudo apt-get install python3 python3-venv)" \
        "or name one: make demo PYTHON=/path/to/python3.12"
}

# Debian ships Python without ensurepip; a venv made then has no pip.
require_ensurepip() {
    local python=$1 package
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "Installing $package: $python cannot make environments without it."
        scripts/apt-install.sh "$package" && return
    fi
    stop "$python cannot make environments. Run this, then try again:" "    sudo apt-get install -y $package"
}

make_venv() {
    # A broken set-up leaves a directory without a working pip; begin again then.
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return
    local python
    python=$(find_python)
    require_ensurepip "$python"
    say "Making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
}

answers() {
    "$venv/bin/python" - "$1" <<'PYTHON' 2>/dev/null
import sys, urllib.request
urllib.request.urlopen(urllib.request.Request(sys.argv[1] + "/torch/", method="HEAD"), timeout=8)
PYTHON
}

# PyPI's torch for Linux brings gigabytes of CUDA libraries; PyTorch's own server has the CPU build.
# It is an extra index, and only when it answers: without it pip still finds what its own configuration offers.
install_torch() {
    local note=$venv/.torch wanted arguments
    if [ -n "${TORCH:-}" ]; then
        wanted="chosen: $TORCH"
        read -r -a arguments <<<"$TORCH"
    else
        case "$(cat "$note" 2>/dev/null)" in "chosen: "*) return ;; esac
        wanted="default: $pinned_torch"
        arguments=("$pinned_torch")
    fi
    [ "$wanted" = "$(cat "$note" 2>/dev/null)" ] && return
    if [ -z "${TORCH:-}" ] && [ "$(uname -s)" = Linux ] && answers "$cpu_wheels"; then
        arguments+=(--extra-index-url "$cpu_wheels")
    fi
    say "Installing ${arguments[*]}"
    "$venv/bin/python" -m pip install --quiet --quiet --upgrade "${arguments[@]}"
    echo "$wanted" >"$note"
}

install_package() {
    local note="$venv/.installed-${extras//,/-}" wanted
    wanted=$(cksum <pyproject.toml)
    # The folder is part of the note: an editable install points into the folder it was made in.
    wanted="$wanted $PWD"
    [ "$wanted" = "$(cat "$note" 2>/dev/null)" ] && return
    say "Installing napari-m2aenet[$extras] (a few minutes the first time)"
    "$venv/bin/python" -m pip install --quiet --quiet --editable ".[$extras]"
    echo "$wanted" >"$note"
}

make_venv
install_torch
install_package
