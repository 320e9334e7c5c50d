#!/usr/bin/env bash
# Installs Debian packages without asking; needs root. Says nothing unless it fails.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# An old package list may do where no new one can be had.
apt-get update >"$log" 2>&1 || true
apt-get install -y --no-install-recommends "$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; exit 1; }
