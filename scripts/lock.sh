#!/usr/bin/env bash
# Writes the lock files anew: every version and hash, for every supported Python and platform.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/bin/uv)
lock() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --prerelease if-necessary-or-explicit "$@"
}
for extra in demo test; do
  lock --extra "$extra" pyproject.toml requirements/build.in -o "requirements/$extra.lock" "$@"
done
# The images' own: what runs there, in the versions that were tested, and nothing to build with.
lock -c requirements/test.lock pyproject.toml -o requirements/core.lock "$@"
lock -c requirements/test.lock --extra notebook pyproject.toml -o requirements/notebook.lock "$@"
lock requirements/contracts.in -o requirements/contracts.lock "$@"
