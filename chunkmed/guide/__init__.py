"""The guide: every page runs in the tests, and prints what it says.

.. include:: tutorial.md
.. include:: cine.md
.. include:: lungs.md
.. include:: pet.md
.. include:: fmri.md
.. include:: slurm.md
.. include:: terabyte.md
.. include:: dask_image.md
"""
