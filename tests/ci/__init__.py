"""The scripts of .ci/ and the workflows that call them."""
