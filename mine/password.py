"""`mine password`."""

from __future__ import annotations

from mine.options import HomeOption
from sonar.telling.terminal import JsonFlag, NewPasswordFileOption, PasswordFileOption, sink_for


def password(
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    new_password_file: NewPasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the password of the home's keystore, all at once or not at all.

    Stop what runs in the home first. A command that was killed can be given again.

    Example: `mine password --password-file old --new-password-file new`
    """
    from mine.wiring import locked
    from sonar.telling.changed import print_changed

    with locked(home, sink_for(as_json)) as party:
        print_changed(party.change_password(password_file, new_password_file), as_json=as_json)
