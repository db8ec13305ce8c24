console.log process.argv, process.execArgv, __filename, __dirname, process.cwd()
console.log process.env
console.log (name for name of require.cache)
console.log module.id, module.parent, (m.filename for m in module.children), module.loaded
show = (m, depth) ->
  console.log ' '.repeat(depth) + m.filename, m.parent?.filename, m.loaded
  show child, depth + 1 for child in m.children when depth < 4
show require.main, 0
console.log Object.keys(require.extensions)
console.log process._preload_modules, process.listeners('exit').length
console.log require('async_hooks').executionAsyncId()
console.log require('fs').readdirSync('/proc/self/fd').length
console.log 'ÄÖÜ 漢字 🙂'
process.stdin.on 'data', (data) -> console.log "#{data}"
process.on 'exit', (code) -> console.error 'exit', code
