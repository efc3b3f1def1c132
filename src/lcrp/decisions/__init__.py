"""Single decisions: which are explained, by which network, and with which references."""
