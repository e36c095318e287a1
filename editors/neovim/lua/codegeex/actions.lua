--- The actions as commands. The server does the work and sends the edit, or opens a document.

local server = require('codegeex.server')

local M = {}

--- What the words behind a command's name mean to the server.
local ARGUMENTS = {
  generate = 'instruction',
  translate = 'targetLanguage',
  explain = 'style',
  docstring = false,
  template = 'name',
}

--- Whole lines when you gave a range, else the cursor, around which the server looks for the block.
local function range(given, client)
  if given.range == 0 then
    return vim.lsp.util.make_range_params(0, client.offset_encoding).range
  end
  return {
    start = { line = given.line1 - 1, character = 0 },
    ['end'] = { line = given.line2, character = 0 },
  }
end

---@param given table what |nvim_create_user_command()| hands over
---@param words string what was typed behind the action's name
local function run(name, given, words)
  local client = server.client()
  if not client then
    return
  end
  local params = {
    textDocument = vim.lsp.util.make_text_document_params(0),
    range = range(given, client),
  }
  if ARGUMENTS[name] and words ~= '' then
    params[ARGUMENTS[name]] = words
  end
  local command = { command = 'codegeex.' .. name, arguments = { params } }
  server.ask('workspace/executeCommand', command, function() end)
end

for name in pairs(ARGUMENTS) do
  M[name] = function(given, words)
    run(name, given, words)
  end
end

return M
