"""Small things that every stage needs, each written once; imports nothing of the house."""
