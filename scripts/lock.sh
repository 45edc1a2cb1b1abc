#!/usr/bin/env bash
# Writes the lock files anew: every version and hash, for every supported Python and platform.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .venv/bin/uv)
lock() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    --prerelease if-necessary-or-explicit "$@"
}
lock --group test pyproject.toml requirements/build.in -o requirements/test.lock "$@"
lock --extra demo pyproject.toml requirements/build.in -o requirements/demo.lock "$@"
# The benchmarks' own: peers that nothing else needs, some of them pre-releases.
lock -c requirements/test.lock pyproject.toml requirements/build.in requirements/bench.in -o requirements/bench.lock "$@"
# The images' own: what runs there, in the versions that were tested; and what their packages are built with.
lock -c requirements/test.lock packaging/core/pyproject.toml -o requirements/core.lock "$@"
lock -c requirements/test.lock packaging/core/pyproject.toml requirements/capsule.in -o requirements/capsule.lock "$@"
lock -c requirements/test.lock --extra notebook pyproject.toml -o requirements/notebook.lock "$@"
lock -c requirements/test.lock requirements/build.in -o requirements/build.lock "$@"
lock requirements/contracts.in -o requirements/contracts.lock "$@"
# Flower's own: it wants other versions than ours.
lock requirements/flower.in -o requirements/flower.lock "$@"
# An independent sampler and independent accountants: they hold others back too.
lock requirements/privacy.in -o requirements/privacy.lock "$@"
# What statistics and models are compared with, beside ours; lifelines holds pandas back.
lock pyproject.toml requirements/build.in requirements/peers.in -o requirements/peers.lock "$@"
