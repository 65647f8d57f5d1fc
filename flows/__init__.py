"""Order, parallelism, schedule and monitoring of the work, and the command line: the only importer of Prefect."""
