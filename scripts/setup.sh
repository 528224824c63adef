#!/usr/bin/env bash
# Sees to what the Makefile's targets need of this machine: Go, a C compiler for the
# race detector, PostgreSQL, Node.js. Installs only with apt, as root, and says so; else it
# says what is missing.
set -euo pipefail

if ! command -v go >/dev/null; then
  echo "setup: Go is not installed; see https://go.dev/doc/install" >&2
  exit 1
fi

missing=()
command -v "$(go env CC)" >/dev/null || missing+=(gcc libc6-dev)
command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || missing+=(postgresql)
# The official clients of three dialects are JavaScript packages; they want Node.js 20.19.
command -v node >/dev/null && command -v npm >/dev/null || missing+=(nodejs npm)

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "setup: please install: ${missing[*]} (Debian's names)" >&2
  exit 1
fi
echo "setup: installing ${missing[*]} with apt-get"
export DEBIAN_FRONTEND=noninteractive
# Tests start a PostgreSQL of their own: the package's is neither made nor started.
if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
  mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
fi
apt-get update -qq </dev/null
apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
