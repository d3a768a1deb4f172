// Pictures of every screen to look at: node e2e/shots.mjs [NAME...] → test-results/shots. See also gallery.html.
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { launch, open } from './browser.mjs'
import { screens } from './screens.mjs'
import { serve } from './server.mjs'

const out = fileURLToPath(new URL('../test-results/shots/', import.meta.url))
mkdirSync(out, { recursive: true })
const only = process.argv.slice(2).filter((a) => !a.startsWith('--'))
const sizes = process.argv.includes('--all')
  ? [[1280, 800], [1920, 1080], [960, 640]]
  : process.argv.includes('--small') ? [[960, 640]] : process.argv.includes('--large') ? [[1920, 1080]] : [[1280, 800]]
const themes = process.argv.includes('--all') ? ['light', 'dark'] : process.argv.includes('--dark') ? ['dark'] : ['light']
const extra = process.argv.includes('--de') ? '&lang=de' : ''
const site = await serve()
const browser = await launch()
for (const screen of screens) {
  if (only.length && !only.includes(screen.name)) continue
  for (const [width, height] of sizes)
    for (const theme of themes) {
      const { page, wrong, close } = await open(browser, `${site.url}/?${screen.query}&theme=${theme}${extra}`, { width, height, colorScheme: theme })
      await screen.to?.(page)
      await page.waitForTimeout(450)
      await page.screenshot({ path: `${out}${screen.name}-${width}-${theme}${extra ? '-de' : ''}.png` })
      if (wrong.length) console.log(screen.name, wrong)
      await close()
    }
}
await browser.close()
await site.close()
