"""What every room may use: errors, files, configuration, paths, processes, progress."""
