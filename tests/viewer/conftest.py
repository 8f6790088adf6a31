"""A viewer's server for each test that asks for one."""

import pytest

from vitruve.viewer.server import close_server, open_server


@pytest.fixture
def server():
    server = open_server(port=0)
    yield server
    close_server(server)
