#!/usr/bin/env bash
# Runs every fuzz target of the module for a moment each: fuzz.sh [5s]
# A crasher is written to the package's testdata/fuzz: keep it, it is the new test.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-5s}

targets=$(grep -rEo --include='*_test.go' --exclude-dir=tools '^func Fuzz[A-Za-z0-9_]*' . | sort) || {
  echo "fuzz: no fuzz target found" >&2
  exit 1
}
while IFS=: read -r file func; do
  name=${func#func }
  echo "fuzz: $name of $(dirname "$file") for $time"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$(dirname "$file")" </dev/null
done <<<"$targets"
