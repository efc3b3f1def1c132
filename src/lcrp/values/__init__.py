"""The values that flow through lcrp: frozen, slotted, keyword-only dataclasses.

Torch-free (what is stored or drawn): `geometry`, `target`, `statistics`, `explanation`.
With tensors: `sample`, `prediction`, `attribution`.
"""
