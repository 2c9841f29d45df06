"""The commands of the command line, one file each; `suite.cli` puts them together."""
