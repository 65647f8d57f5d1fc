"""Trains the lip refiner released with the code (model/lips.py); not a stage of the DAG."""
