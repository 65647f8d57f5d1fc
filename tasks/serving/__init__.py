"""The app page: what comes in (uploads), the jobs and the process that does them (desk, worker), HTTP (server)."""
