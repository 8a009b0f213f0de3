"""One training run of a command: settings, state file, log, signals, learning curve."""
