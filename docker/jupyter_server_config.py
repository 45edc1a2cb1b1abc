"""JupyterLab in the scientist's container: one link with a token, for this machine alone."""

import os
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import PasswordIdentityProvider


class LinkWithToken(PasswordIdentityProvider):  # type: ignore[misc, unused-ignore]
    """Lets in who has the token, and tells of who has a wrong one."""

    async def get_user_token(self, handler: Any) -> Any:
        """Return the user of the link's token, or None."""
        user = await super().get_user_token(handler)
        if user is None and self.get_token(handler):
            self._tell_wrong_token()
        return user

    def process_login_form(self, handler: Any) -> Any:
        """Return the user of the token that was typed in, or None."""
        user = super().process_login_form(handler)
        if user is None:
            self._tell_wrong_token()
        return user

    def _tell_wrong_token(self) -> None:
        self.log.warning(
            "a wrong token was refused; the link with the right one is the line `JupyterLab: ...` of this log"
        )


home = Path(os.environ["SONAR_HOME"])
c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 - Jupyter puts it here
c.ServerApp.ip = "0.0.0.0"  # noqa: S104 - inside the container
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.root_dir = str(home / "notebooks")
# Not its own link, which would be the last one in the log, and has no token: `notebook-server` prints ours.
c.Application.log_level = "WARN"
c.ServerApp.identity_provider_class = LinkWithToken
c.LinkWithToken.allow_password_change = False
c.LinkWithToken.token = (home / "token").read_text().strip()
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
