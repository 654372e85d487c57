#!/usr/bin/env bash
# Gets what the tests start: servers, real ones, on ports and in folders of the tests' own, and a
# browser to look at the page with.
# As root on Debian or Ubuntu it installs their packages, and starts no service of the system; else
# it says what to install, and the tests that need it fail with the same sentence.
set -euo pipefail

policy=/usr/sbin/policy-rc.d
mark='# put here by energymarket while it installs the servers of its tests'

missing=()

say() { printf 'energymarket: %s\n' "$*" >&2; }

# need PACKAGE PROGRAM…: the package is missing unless one of the programs is there
need() {
  local program
  for program in "${@:2}"; do
    command -v "$program" >/dev/null && return 0
  done
  missing+=("$1")
}

# Debian's policy: no package may start a service while this file says 101. Whatever was there
# before comes back.
forbid_services() {
  if [[ -e $policy ]] && ! grep -qxF "$mark" "$policy"; then
    mv "$policy" "$policy.before-energymarket"
  fi
  printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
  chmod 755 "$policy"
}

allow_services() {
  rm -f "$policy"
  if [[ -e $policy.before-energymarket ]]; then
    mv "$policy.before-energymarket" "$policy"
  fi
}

# Nor is a service to come up with the next boot.
keep_services_off() {
  if [[ -d /run/systemd/system && ($1 == *-server || $1 == prometheus) ]]; then
    systemctl --quiet disable "$1" || true
  fi
}

install_packages() {
  say "installing ${missing[*]}"
  trap allow_services EXIT
  trap 'exit 130' INT TERM HUP
  forbid_services
  export DEBIAN_FRONTEND=noninteractive
  local package options=(-qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0)
  apt-get "${options[@]}" update >/dev/null || say "apt-get update failed; trying with what is there"
  for package in "${missing[@]}"; do # one by one: a system without one of them may have the others
    if apt-get "${options[@]}" install -y --no-install-recommends "$package" >/dev/null; then
      keep_services_off "$package"
    else
      say "apt-get could not install $package; the tests that need it will say so"
    fi
  done
}

need rabbitmq-server /usr/lib/rabbitmq/bin/rabbitmq-server \
  /opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server /usr/local/opt/rabbitmq/sbin/rabbitmq-server \
  rabbitmq-server
need redis-server redis-server
need prometheus prometheus
need chromium chromium chromium-browser google-chrome

if ((${#missing[@]} == 0)); then
  exit 0
fi
if [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null; then
  install_packages
elif command -v apt-get >/dev/null; then
  say "missing for the tests: ${missing[*]}. Install with: sudo apt-get install ${missing[*]}" \
    "(then sudo systemctl disable --now those that are services: the tests start their own)"
elif command -v brew >/dev/null; then
  say "missing for the tests: ${missing[*]}. Install with: brew install rabbitmq redis prometheus, and a browser such as Google Chrome"
else
  say "missing for the tests: ${missing[*]}. See rabbitmq.com/download, redis.io/downloads, prometheus.io/download and chromium.org"
fi
