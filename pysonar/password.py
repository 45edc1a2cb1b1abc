"""`pysonar password`."""

from __future__ import annotations

from pysonar.options import HomeOption
from sonar.telling.terminal import JsonFlag, NewPasswordFileOption, PasswordFileOption, print_json, sink_for


def password(
    home: HomeOption = None,
    password_file: PasswordFileOption = None,
    new_password_file: NewPasswordFileOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Change the password of the home's keystore and of all Paillier keys, all at once or not at all.

    Stop what runs in the home first. A command that was killed can be given again.

    Example: `pysonar password --password-file old --new-password-file new`
    """
    from pysonar.wiring import locked
    from sonar.home.password import told
    from sonar.telling.tables import print_text

    with locked(home, sink_for(as_json)) as party:
        document = party.change_password(password_file, new_password_file)
    if as_json:
        print_json(document)
    else:
        print_text(told(document))
