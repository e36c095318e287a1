--- Where the server is, when you don't say.

local M = {}

local NAME = 'codegeex-lsp'
local BIN = vim.fn.has('win32') == 1 and 'Scripts' or 'bin'

--- This plugin is a folder of the project, whose scripts/run makes a .venv.
local function of_the_project()
  local here = vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))
  return ('%s/.venv/%s/%s'):format(vim.fn.fnamemodify(here, ':h:h:h:h:h'), BIN, NAME)
end

--- The server's command line: `cmd` if you gave one, else by the PATH or the project.
---@param cmd? string[]
---@return string[]? # nil after saying that there is no such program
function M.command(cmd)
  for _, name in ipairs(cmd and { cmd[1] } or { NAME, of_the_project() }) do
    if vim.fn.executable(name) == 1 then
      return cmd or { name, 'serve' }
    end
  end
  local problem = 'CodeGeeX: there is no program %s; start scripts/run in the project, or see :help codegeex-setup'
  vim.notify(problem:format(cmd and cmd[1] or NAME), vim.log.levels.ERROR)
end

return M
