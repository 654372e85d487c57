#!/bin/sh
# make-venv.sh FOLDER: a virtual environment of the first Python here that is new enough.
# One that is there and works is left alone. PYTHON=… chooses another Python.
set -eu

venv=$1
oldest=3.11

say() { printf 'energymarket: %s\n' "$*" >&2; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if [ -x "$venv/bin/python" ] && is_new_enough "$venv/bin/python" \
  && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  exit 0
fi

found=
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
  if is_new_enough "$python"; then
    found=$python
    break
  fi
done
if [ -z "$found" ]; then
  have=$("${PYTHON:-python3}" --version 2>/dev/null) || have="no ${PYTHON:-python3}"
  say "Python $oldest or newer is needed, and here is $have. Install one (python.org/downloads, or" \
    "your system's packages), or name it: make PYTHON=/path/to/python3.12 …"
  exit 1
fi
if ! "$found" -c 'import ensurepip, venv' 2>/dev/null; then
  version=$("$found" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  say "$found cannot make virtual environments, for its module venv is missing. On Debian or Ubuntu:" \
    "apt-get install python$version-venv"
  exit 1
fi
say "making $venv with $("$found" --version)"
rm -rf "$venv"
"$found" -m venv "$venv"
