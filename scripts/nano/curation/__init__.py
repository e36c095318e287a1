"""Where the training text of codegeex-nano comes from and what may stay in it."""
