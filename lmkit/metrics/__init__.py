"""How good answers are: measures of predictions against what is right, and how sure these are."""
