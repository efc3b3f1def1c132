"""Figures of explanations: numpy and matplotlib only, so that a stored explanation redraws anywhere."""
