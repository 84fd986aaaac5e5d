#!/usr/bin/env bash
# Prints the changelog's entry of a version, which must be the program's and have its day: image/notes.sh VERSION.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -q "^const Version = \"$1\"\$" internal/connector/version.go || { echo "internal/connector/version.go says another version than $1" >&2; exit 1; }
grep -Eq "^## ${1//./\\.} \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$" CHANGELOG.md || { echo "CHANGELOG.md has no entry of $1 with the day of its release" >&2; exit 1; }
awk -v head="## $1 (" 'index($0, "## ") == 1 { on = index($0, head) == 1; next } on' CHANGELOG.md
