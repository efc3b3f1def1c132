"""From the YAML files and the command line to ready objects; the only package besides cli that knows Hydra."""
