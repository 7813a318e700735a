#!/usr/bin/env bash
# Makes the environment of compliance-trestle from its own lock, once, below the user's cache folder; prints its Python.
#
# Run from the checkout's root (`make oscal` does). Each package is verified by its hash. Set PYTHON to choose the
# interpreter that it is made from.
set -euo pipefail

readonly LOCK=requirements/oscal.lock
readonly BASE=${PYTHON:-python3}

say() { printf 'oscal: %s\n' "$*" >&2; }
fail() { printf 'oscal: %s\n  %s\n' "$1" "$2" >&2; exit 3; }

"$BASE" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$BASE is not Python 3.11 or newer" "Name one: make oscal PYTHON=/path/to/python3"
cache=${ISLANDING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/islanding}
key=$({ "$BASE" -VV; cat "$LOCK"; } | sha256sum | cut -c1-16)
venv=$cache/oscal-$key
if [[ ! -f $venv/complete ]]; then
    say "making $venv from $(grep -c '^[a-zA-Z0-9]' "$LOCK") locked packages (once, about a minute)"
    mkdir -p "$cache"
    "$BASE" -m venv --clear "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install -q --require-hashes -r "$LOCK" >&2 ||
        fail "compliance-trestle could not be installed" "Check the network (pip's message is above), then run it again."
    touch "$venv/complete"
fi
printf '%s\n' "$venv/bin/python"
