"""`start.*`: what importing the package and loading the definitions costs, each in a fresh process."""
