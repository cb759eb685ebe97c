"""The time of an epoch, and full trainings: accuracy, time to a target, hardest test images."""
