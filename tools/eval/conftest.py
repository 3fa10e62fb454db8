import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent / "language"), str(Path(__file__).parents[1] / "train")]
