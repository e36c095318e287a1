"""The language server of codegeex-lsp: knows editors, never a model."""

__version__ = "0.1.0"
