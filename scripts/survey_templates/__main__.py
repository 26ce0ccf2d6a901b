"""`python -m scripts.survey_templates FOLDER`: prints the tables of docs/labels.md for the templates in FOLDER."""

import sys
from pathlib import Path

from scripts.survey_templates.survey import survey, table

outcomes = list(survey(Path(sys.argv[1])))
print(f"{len({one.template for one in outcomes})} templates, {len(outcomes)} rows\n")
print(table(outcomes))
