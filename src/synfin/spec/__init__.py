"""The law both ends obey, blind to roles: states, key schedules, protection of records, certificates, violations."""
