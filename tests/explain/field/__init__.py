"""Public reports of requests that COS refused, each with a small reproduction."""
