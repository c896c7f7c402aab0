"""The pytest plugin: hooks, options, the session, planning and reporting."""
