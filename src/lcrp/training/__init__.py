"""Training the small networks that come with the package: assignment, losses, trainer, quality."""
