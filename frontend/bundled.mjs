// Prints the npm packages that the built page contains, one a line; build/licences asks.
import { build } from 'vite'

const packages = new Set()
const seen = (id) => {
  const at = id.lastIndexOf('/node_modules/')
  if (at < 0) return
  const [scope, name] = id.slice(at + '/node_modules/'.length).split('/')
  packages.add(scope.startsWith('@') ? `${scope}/${name}` : scope)
}
const result = await build({ logLevel: 'error', build: { write: false } })
for (const out of Array.isArray(result) ? result : [result]) {
  for (const chunk of out.output) {
    if (chunk.type !== 'chunk') continue
    for (const [id, module] of Object.entries(chunk.modules)) if (module.renderedLength > 0) seen(id.replace(/^\0/, ''))
  }
}
process.stdout.write([...packages].sort().join('\n') + '\n')
