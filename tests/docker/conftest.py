"""Containers are tested by `make docker-test` alone: building images takes minutes, and an engine."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("SONAR_DOCKER_TESTS"):
        return
    for item in items:
        if "tests/docker" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason="needs a Docker engine: run `make docker-test`"))
