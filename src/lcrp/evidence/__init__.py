"""Evidence: how far explanations can be trusted, in numbers (numpy only).

Curves of what is lost and kept, complexity, correlation, and intervals by resampling images.
"""
