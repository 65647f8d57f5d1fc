"""The lines of a film: who says what and when, by subtitles; speech fitted into its time; what lies under it."""
