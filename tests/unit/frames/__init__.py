"""What is done with frames once they are read: filters, words, lines."""
