--- How Neovim 0.11 and later starts the server: vim.lsp.enable('codegeex').
--- No `filetypes`: the server answers in every file and says itself where it is silent.

---@type vim.lsp.Config
return {
  cmd = { 'codegeex-lsp', 'serve' },
  root_markers = { '.git' },
  handlers = {
    ['codegeex/status'] = function(_, state, context)
      local before = vim.g.codegeex_status
      vim.g.codegeex_status = state
      if state.phase == 'ready' and before and before.phase ~= 'ready' then
        require('codegeex.ghost').model_is_ready(vim.lsp.get_client_by_id(context.client_id))
      end
      vim.schedule(function()
        vim.cmd.redrawstatus()
      end)
    end,
  },
}
