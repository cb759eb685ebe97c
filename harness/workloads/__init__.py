"""What is trained: variants, datasets, cases."""
