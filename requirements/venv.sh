#!/usr/bin/env bash
# Makes .venv from the lock, once: finds Python, verifies each package by hash, installs the checkout.
#
# Run from the checkout's root (the Makefile does). Costs nothing when .venv already matches the lock; needs the network
# only when it doesn't. Set PYTHON to choose the interpreter.
set -euo pipefail

readonly LOCK=requirements/dev.lock VENV=.venv
readonly STAMP=$VENV/.made-from

say() { printf 'set-up: %s\n' "$*" >&2; }
fail() { printf 'set-up: %s\n  %s\n' "$1" "$2" >&2; exit 3; }

# True when the interpreter runs (a version manager's shim may not) and is new enough.
suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if suits "$candidate"; then command -v "$candidate"; return; fi
        if [[ -n ${PYTHON:-} && $candidate == "$PYTHON" ]]; then
            fail "PYTHON=$PYTHON is not Python 3.11 or newer" "Name another, or leave PYTHON unset."
        fi
    done
    return 1
}

# Installs Debian packages when we may; false when this is not root or not Debian.
apt_install() {
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    say "installing $* by apt"
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1 || {
        apt-get update -q >&2 && apt-get install -y -q --no-install-recommends "$@" >&2
    }
}

if ! python=$(find_python); then
    [[ -z ${PYTHON:-} ]] || exit 3 # said above
    apt_install python3 python3-venv || true
    python=$(find_python) || fail "no Python 3.11 or newer was found" \
        "Install one (Debian 12, Ubuntu 24.04: sudo apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3"
fi

# What the environment is made from; any change makes it anew.
made_from=$({ "$python" -VV; pwd; cat "$LOCK" pyproject.toml setup.py; } | sha256sum)
if [[ -x $VENV/bin/python && -f $STAMP && "$(<"$STAMP")" == "$made_from" ]] && "$VENV/bin/islanding" version >/dev/null 2>&1; then
    exit 0
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    apt_install "python$version-venv" || apt_install python3-venv || true
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python cannot make virtual environments" \
        "sudo apt-get update && sudo apt-get install python$version-venv"
fi

rm -f "$STAMP"
if ! "$VENV/bin/python" -c 'import sys, pip; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null ||
    [[ "$("$VENV/bin/python" -VV)" != "$("$python" -VV)" ]]; then
    say "making $VENV with $("$python" -V)"
    "$python" -m venv --clear "$VENV"
fi
say "installing $(grep -c '^[a-zA-Z0-9]' "$LOCK") locked packages (about a minute)"
pip=("$VENV/bin/python" -m pip --disable-pip-version-check --no-input)
"${pip[@]}" install -q --require-hashes -r "$LOCK" ||
    fail "the locked packages could not be installed" "Check the network (pip's message is above), then run the command again."
"${pip[@]}" install -q --no-deps --no-build-isolation --editable . ||
    fail "the checkout could not be installed into $VENV" "pip's message is above."
printf '%s\n' "$made_from" >"$STAMP"
say "$VENV is ready"
