--- Keys, commands and a statusline text for the CodeGeeX language server.
--- Whatever can be decided by the server is; this file only passes on what you press.

local ghost = require('codegeex.ghost')

local M = {}

---@class codegeex.Options
---@field cmd? string[] the server's command line; by default codegeex-lsp of the PATH
---@field settings? table what the README's table of settings lists, without the "codegeex." prefix
---@field keys? boolean map the keys of |codegeex-keys|; true unless you say false

local KEYS = {
  { '<Tab>', 'accept', 'Accept the suggestion' },
  { '<M-Right>', 'accept_word', 'Accept its next word' },
  { '<M-End>', 'accept_line', 'Accept its next line' },
  { '<M-]>', 'next', 'Next suggestion' },
  { '<M-[>', 'previous', 'Previous suggestion' },
  { '<M-\\>', 'ask', 'Ask for suggestions here' },
}

---@param options? codegeex.Options
function M.setup(options)
  options = options or {}
  if vim.fn.has('nvim-0.11') == 0 then
    vim.notify('CodeGeeX: Neovim 0.11 or later is needed; see :help codegeex-old', vim.log.levels.ERROR)
    return
  end
  local settings = { codegeex = options.settings or vim.empty_dict() }
  vim.lsp.config('codegeex', { cmd = options.cmd, init_options = settings, settings = settings })
  vim.lsp.enable('codegeex')
  if vim.lsp.inline_completion then
    vim.lsp.inline_completion.enable()
    if options.keys ~= false then
      M.map_keys()
    end
  end
end

--- In insert mode; a key that has nothing to accept does what it always did.
function M.map_keys()
  for _, key in ipairs(KEYS) do
    local keys, name, about = unpack(key)
    vim.keymap.set('i', keys, function()
      return ghost[name]() and '' or keys
    end, { expr = true, desc = 'CodeGeeX: ' .. about })
  end
end

--- For a statusline: "CodeGeeX", with what it is doing when that isn't "ready".
function M.statusline()
  local state = vim.g.codegeex_status
  if not state then
    return ''
  end
  return state.phase == 'ready' and 'CodeGeeX' or ('CodeGeeX: ' .. state.phase)
end

---@return vim.lsp.Client? the buffer's server, or nil after saying that there is none
local function client()
  local found = vim.lsp.get_clients({ name = 'codegeex', bufnr = 0 })[1]
  if not found then
    vim.notify('CodeGeeX is not running in this buffer; see :checkhealth vim.lsp', vim.log.levels.WARN)
  end
  return found
end

local function actions(kinds)
  vim.lsp.buf.code_action({ context = { only = kinds, diagnostics = {} } })
end

--- What :CodeGeeX can do, by the name you type.
M.commands = {
  actions = function()
    actions({ 'refactor.rewrite.codegeex', 'source.codegeex' })
  end,
  ask = function()
    ghost.ask()
  end,
  why = function()
    local server = client()
    if not server then
      return
    end
    local document = { textDocument = vim.lsp.util.make_text_document_params(0) }
    server:request('codegeex/why', document, function(failure, answer)
      vim.notify('CodeGeeX: ' .. (failure and failure.message or answer.message))
    end)
  end,
  status = function()
    local state = vim.g.codegeex_status or { phase = 'not started', message = '' }
    local model = state.model and (' ' .. state.model) or ''
    vim.notify(vim.trim(('CodeGeeX%s: %s. %s'):format(model, state.phase, state.message or '')))
  end,
  toggle = function()
    vim.lsp.inline_completion.enable(not vim.lsp.inline_completion.is_enabled())
  end,
}

return M
