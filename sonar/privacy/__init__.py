"""What is learned of single rows, and how it is limited: exact noise, and what it costs (zCDP). All of it
pure.
"""
