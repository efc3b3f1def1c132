"""Stage context: how much decisions lean on what surrounds the object."""
