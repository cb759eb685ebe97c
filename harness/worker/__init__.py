"""The child process: builds, trains, answers; nothing else imports a framework."""
