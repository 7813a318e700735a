#!/usr/bin/env bash
# Debian's packages that the harness's own tests look with: a browser, fonts for Japanese, what draws PDF, a software token,
# skopeo, which pushes and pulls through the lab's registry, and readelf, which finds the libraries of a container image.
#
# Run from the checkout's root (make test does). What cannot be installed is named; its tests
# say so: they are skipped with that reason or, without skopeo or readelf, fail by the program's name.
set -euo pipefail

readonly WANTED=(binutils chromium fonts-noto-cjk libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 openssl skopeo softhsm2)

command -v dpkg-query >/dev/null || exit 0 # no Debian: the tests say what they lack
missing=()
for package in "${WANTED[@]}"; do
    [[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" == ii* ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0
printf 'set-up: installing %s by apt, for the tests\n' "${missing[*]}" >&2
if [[ $(id -u) != 0 ]]; then
    printf 'set-up: not root; for all of the tests: sudo apt-get install %s\n' "${missing[*]}" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >&2 ||
    printf 'set-up: these could not be installed; the tests that need them are skipped or fail\n' >&2
