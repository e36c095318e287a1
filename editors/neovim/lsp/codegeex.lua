--- How Neovim 0.11 and later starts the server: vim.lsp.enable('codegeex').
--- No `filetypes`: the server answers in every file and says itself where it is silent.

---@type vim.lsp.Config
return {
  cmd = { 'codegeex-lsp', 'serve' },
  root_markers = { '.git' },
  handlers = {
    ['codegeex/status'] = function(_, state)
      vim.g.codegeex_status = state
      vim.schedule(function()
        vim.cmd.redrawstatus()
      end)
    end,
  },
}
