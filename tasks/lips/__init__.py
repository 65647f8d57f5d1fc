"""Trains the lip refiner that is released with the code (model/lips.py); no stage of the DAG."""
