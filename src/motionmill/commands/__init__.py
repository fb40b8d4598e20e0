"""COMMANDS of the command line: one module a subject, each command about ten lines that call the package."""
