"""Paillier encryption as every party sees it: the public key, slot plans, and the packed affine product.

Nothing here decrypts, reads a clock or draws randomness by itself: whoever calls passes `rng`.
"""
