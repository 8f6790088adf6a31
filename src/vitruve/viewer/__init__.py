"""The live page in the browser, and recordings of it."""
