"""The only room that knows files, pipes, terminals and YAML."""
