import sys
from pathlib import Path

TOOLS = Path(__file__).parents[1]
sys.path[:0] = [str(TOOLS / folder) for folder in ("eval/language", "train", "bench")]
