#!/usr/bin/env bash
# Writes the lock files anew: every version and hash, for every supported Python and platform.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/bin/uv)
for extra in demo test; do
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --prerelease if-necessary-or-explicit --extra "$extra" pyproject.toml requirements/build.in -o "requirements/$extra.lock" "$@"
done
