#!/usr/bin/env bash
# Run pytest with these options, and once more the files of a few tests that failed.
# Hundreds of real servers come and go beside the tests; what one of them met by that is told from what fails by itself.
set -uo pipefail
most_files=3

cache="$(mktemp -d)"
trap 'rm -rf "$cache"' EXIT
pytest "$@" -o cache_dir="$cache"
status=$?
[ "$status" = 1 ] || exit "$status"

failed="$(python -c 'import json, sys; print(*sorted(json.load(sys.stdin)), sep="\n")' <"$cache/v/cache/lastfailed")"
mapfile -t files < <(cut -d: -f1 <<<"$failed" | sort -u)
if [ "${#files[@]}" -gt "$most_files" ]; then exit "$status"; fi
printf '\nOnce more, with nothing beside them: %s\n' "${files[*]}"
pytest "$@" -n 0 -o cache_dir="$cache" "${files[@]}" || exit
printf '\nThese failed at first, and passed with nothing beside them:\n%s\n' "$failed"
