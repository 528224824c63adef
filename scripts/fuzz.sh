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
log=$(mktemp)
trap 'rm -f "$log"' EXIT
while IFS=: read -r file func; do
  name=${func#func }
  echo "fuzz: $name of $(dirname "$file") for $time"
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$(dirname "$file")" </dev/null >"$log" 2>&1 && status=0 || status=$?
  grep -v '^fuzz: elapsed:' "$log" || true
  if [ "$status" -ne 0 ]; then
    # On a busy machine Go before 1.27 may report the end of -fuzztime as a failure,
    # without an input: go.dev/issue/75804. Everything else is one.
    if ! grep -q '^    context deadline exceeded$' "$log" || grep -q -e '^    Failing input' -e '^panic:' "$log"; then
      exit "$status"
    fi
    echo "fuzz: $name found nothing; its time ended late (go.dev/issue/75804)"
  fi
done <<<"$targets"
