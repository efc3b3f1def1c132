"""Stage truth: explanations beside what interventions on the embedded pictures say."""
