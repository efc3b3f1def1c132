"""The Python door: what a person calls from a notebook or a program, built of the same values as the command line.

Thin by intention: settings become the values of `config`, and the functions of `stages` and `decisions` do the work.
"""
