"""Does the method hold? Tried on known truths: equal cases, known slowdowns, known loads."""
