"""JupyterLab in the scientist's container: one link with a token, for this machine alone."""

import os
from pathlib import Path
from typing import Any

home = Path(os.environ["SONAR_HOME"])
c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 - Jupyter puts it here
c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - inside the container
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.root_dir = str(home / "notebooks")
# What the host calls it; Jupyter adds the token when it prints the link.
c.ServerApp.custom_display_url = f"http://127.0.0.1:{os.environ.get('JUPYTER_PORT', '8888')}/lab"
c.IdentityProvider.token = (home / "token").read_text().strip()
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
