#!/usr/bin/env bash
# Installs Debian packages without asking; needs root. An old package list is tried when no new one can be had.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
apt-get install -y -qq --no-install-recommends "$@"
