"""The commands of `codegeex-lsp`, one file each, named after them."""
