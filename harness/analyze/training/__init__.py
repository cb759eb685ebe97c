"""Full trainings: epochs, accuracy, time to a target, the hardest test images."""
