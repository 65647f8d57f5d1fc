"""The app: web pages (pages), HTTP (server, routes), uploads, the job queue and its workers (worker, live_sessions, rtc)."""
