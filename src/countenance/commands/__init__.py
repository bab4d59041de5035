"""The commands, one thin function each. Nothing heavy is imported before a command runs."""
