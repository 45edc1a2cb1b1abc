"""What a command says once a home has another password."""

from __future__ import annotations

from sonar.telling.documents import PasswordChanged
from sonar.telling.tables import print_text
from sonar.telling.terminal import print_json
from sonar.telling.text import count


def print_changed(document: PasswordChanged, *, as_json: bool) -> None:
    """Print which files have another password now."""
    if as_json:
        print_json(document)
    elif not document.files:
        print_text(f"{document.home} has the new password already")
    else:
        print_text(
            f"the new password opens {document.home} from now on: {count(len(document.files), 'file')}.\n"
            "Copies that were made before open with the old one. Put the new one where programs read it."
        )
