"""In what order, how parallel, when, and watched by whom: the only importer of Prefect."""
