"""The commands of `sonar`. Each module is light to import; what is heavy is imported when it runs."""
