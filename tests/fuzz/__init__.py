"""Programs that make up inputs until something breaks. `make fuzz` runs them under sanitizers."""
