"""The course of a search where runs are watched: as CSV files, in TensorBoard, in MLflow."""

from autobalance.tracking.course import Course
from autobalance.tracking.csv_files import CSVTracker
from autobalance.tracking.mlflow import MLflowTracker
from autobalance.tracking.named import open_tracker
from autobalance.tracking.tensorboard import TensorBoardTracker
from autobalance.tracking.tracker import Tracker

__all__ = [
    "CSVTracker",
    "Course",
    "MLflowTracker",
    "TensorBoardTracker",
    "Tracker",
    "open_tracker",
]
