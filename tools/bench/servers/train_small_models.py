"""Train small models, each of them another: ``train_small_models.py FOLDER COUNT ROW``.

Writes FOLDER/<number>/ with the model and its handler, and FOLDER/expected.json with the score
that each gives the row.
"""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors

import json
import shutil
import sys
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression

folder, count, row = Path(sys.argv[1]), int(sys.argv[2]), np.array([sys.argv[3].split(",")], float)
expected = []
for number in range(count):
    random = np.random.default_rng(number)
    rows = random.normal(size=(60, row.shape[1]))
    model = LogisticRegression().fit(rows, rows @ random.normal(size=row.shape[1]) > 0)
    place = folder / str(number)
    place.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, place / "model.joblib")
    # Not in code/: plain sagemaker-inference puts that folder on no path.
    shutil.copy(Path(__file__).with_name("small_model.py"), place / "inference.py")
    expected.append(float(model.predict_proba(row)[0, 1]))
(folder / "expected.json").write_text(json.dumps(expected))
