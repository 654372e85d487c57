#!/bin/sh
# start.sh TEMPLATE FILE COMMAND...: writes TEMPLATE with the passwords filled in to FILE, then
# becomes COMMAND.
#
# The passwords come from the environment and go into a file in memory that only this user can read:
# never onto a command line, which every process can see, nor into a log or an error. COMMAND does
# not inherit them, for a crash dump shows the environment.
set -eu
umask 077

template=$1
file=$2
shift 2

# ${NAME} in the template stands for a password. Only characters that mean themselves in a URL, in
# JSON and in a Redis ACL are allowed. Lines that begin with # are dropped: JSON and ACL files know
# no comments.
awk '
  /^#/ { next }
  {
    while (match($0, /[$][{][A-Z_]+[}]/)) {
      name = substr($0, RSTART + 2, RLENGTH - 3)
      value = ENVIRON[name]
      if (length(value) < 8 || value !~ /^[A-Za-z0-9._~-]+$/) {
        print name " must be at least 8 characters out of A-Z a-z 0-9 . _ ~ - (see .env)" >"/dev/stderr"
        exit 1
      }
      $0 = substr($0, 1, RSTART - 1) value substr($0, RSTART + RLENGTH)
    }
    print
  }
' "$template" >"$file"

# shellcheck disable=SC2046 # names of variables, split on purpose
unset $(awk 'BEGIN { for (name in ENVIRON) if (name ~ /^ENERGYMARKET_[A-Z_]+$/) print name }')

exec "$@"
