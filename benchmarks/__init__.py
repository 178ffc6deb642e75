"""Benchmarks: cases and operations are data, peers are modules, every run is a process of its own.

``python -m benchmarks run|report|efficiency``; definitions are in the README beside this file.
"""
