--- Keys, commands and a statusline text for the CodeGeeX language server.
--- Whatever can be decided by the server is; this file only passes on what you press.

local actions = require('codegeex.actions')
local candidates = require('codegeex.candidates')
local ghost = require('codegeex.ghost')
local program = require('codegeex.program')
local search = require('codegeex.search')
local server = require('codegeex.server')

local M = {}

---@class codegeex.Options
---@field cmd? string[] the server's command line; by default codegeex-lsp of the PATH or the project
---@field settings? table what docs/settings.md lists, without the "codegeex." prefix
---@field keys? boolean map the keys of |codegeex-keys|; true unless you say false

local KEYS = {
  { '<Tab>', 'accept', 'Accept the suggestion' },
  { '<M-Right>', 'accept_word', 'Accept its next word' },
  { '<M-End>', 'accept_line', 'Accept its next line' },
  { '<M-]>', 'next', 'Next suggestion' },
  { '<M-[>', 'previous', 'Previous suggestion' },
  { '<C-]>', 'dismiss', 'Hide the suggestion' },
  { '<M-\\>', 'ask', 'Ask for suggestions here' },
}

--- Keep what an action has come to for the statusline.
local function follow_progress()
  vim.api.nvim_create_autocmd('LspProgress', {
    pattern = { 'begin', 'report', 'end' },
    group = vim.api.nvim_create_augroup('codegeex.progress', {}),
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == 'codegeex' then
        local value = event.data.params.value
        local shown = { value.title, value.message }
        vim.g.codegeex_progress = value.kind ~= 'end' and table.concat(shown, ', ') or nil
        vim.cmd.redrawstatus()
      end
    end,
  })
end

---@param options? codegeex.Options
function M.setup(options)
  options = options or {}
  if vim.fn.has('nvim-0.11') == 0 then
    vim.notify('CodeGeeX: Neovim 0.11 or later is needed; see :help codegeex-old', vim.log.levels.ERROR)
    return
  end
  local cmd = program.command(options.cmd)
  if not cmd then
    return
  end
  local settings = { codegeex = options.settings or vim.empty_dict() }
  vim.lsp.config('codegeex', { cmd = cmd, init_options = settings, settings = settings })
  vim.lsp.enable('codegeex')
  follow_progress()
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
  if state.phase == 'ready' then
    return vim.g.codegeex_progress or 'CodeGeeX'
  end
  return 'CodeGeeX: ' .. state.phase
end

--- What :CodeGeeX can do, by the name you type. Each gets what |nvim_create_user_command()| hands over
--- and the words behind its name.
M.commands = vim.tbl_extend('error', actions, {
  actions = function(given)
    vim.lsp.buf.code_action({
      context = { only = { 'refactor.rewrite.codegeex', 'source.codegeex' }, diagnostics = {} },
      range = given.range > 0
          and { start = { given.line1, 0 }, ['end'] = { given.line2, vim.v.maxcol } }
        or nil,
    })
  end,
  candidates = candidates.open,
  search = search.open,
  cancel = server.cancel,
  ask = function()
    ghost.ask()
  end,
  why = function()
    local document = { textDocument = vim.lsp.util.make_text_document_params(0) }
    server.ask('codegeex/why', document, function(answer)
      vim.notify('CodeGeeX: ' .. answer.message)
    end)
  end,
  status = function()
    local state = vim.g.codegeex_status or { phase = 'not started', model = '' }
    local sentence = vim.trim(('CodeGeeX %s'):format(state.model)) .. ': ' .. state.phase .. '.'
    vim.notify((state.message or '') ~= '' and 'CodeGeeX: ' .. state.message or sentence)
  end,
  toggle = function()
    vim.lsp.inline_completion.enable(not vim.lsp.inline_completion.is_enabled())
  end,
})

return M
