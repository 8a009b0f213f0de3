"""The only package that knows files, pipes, terminals and YAML."""
