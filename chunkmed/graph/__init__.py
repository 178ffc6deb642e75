"""The engine: nodes, views, trace, plan and runs. dask schedules; chunkmed decides what one task is."""
