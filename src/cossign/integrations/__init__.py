"""One file for each library that cossign signs for; each needs that library alone, and calls the public names."""
