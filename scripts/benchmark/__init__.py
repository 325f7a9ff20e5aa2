"""What `scripts/bench.py` is made of.

The measuring process (`bench`, `evaluation`, `programs`) is plain Python and stays small. Whatever computes does so in
a process of its own, a worker (`*_side`), that does nothing while another is measured.
"""
