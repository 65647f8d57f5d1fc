"""The app in a browser: pages, HTTP (server, routes), uploads, job queue, workers (worker, live_sessions, rtc)."""
