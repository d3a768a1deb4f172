// Pictures of every screen to look at: node e2e/shots.mjs [NAME...] [--de|--both] [--all|--small|--large] [--dark] [--sheets]
// → test-results/shots. --all: three sizes, light and dark. --sheets: contact sheets, too (ImageMagick). See also gallery.html.
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { launch, open } from './browser.mjs'
import { screens } from './screens.mjs'
import { serve } from './server.mjs'

const out = process.env.SHOTS ?? fileURLToPath(new URL('../test-results/shots', import.meta.url))
mkdirSync(out, { recursive: true })
const has = (name) => process.argv.includes(name)
const only = process.argv.slice(2).filter((a) => !a.startsWith('--'))
const sizes = has('--all') ? [[1280, 800], [1920, 1080], [960, 640]] : has('--small') ? [[960, 640]] : has('--large') ? [[1920, 1080]] : [[1280, 800]]
const themes = has('--all') ? ['light', 'dark'] : has('--dark') ? ['dark'] : ['light']
const languages = has('--both') ? ['en', 'de'] : has('--de') ? ['de'] : ['en']
const sheets = new Map()

const site = await serve()
const browser = await launch()
for (const screen of screens.filter((s) => !only.length || only.includes(s.name)))
  for (const language of languages) {
    // One visit for all sizes and themes: it is the window that changes, as a person changes it.
    const { page, wrong, close } = await open(browser, `${site.url}/?${screen.query}&lang=${language}`, { colorScheme: themes[0] })
    try {
      await screen.to?.(page)
      await page.waitForTimeout(350)
      for (const [width, height] of sizes) {
        await page.setViewportSize({ width, height })
        for (const theme of themes) {
          await page.emulateMedia({ colorScheme: theme })
          await page.waitForTimeout(180)
          const sheet = `${width}-${theme}-${language}`
          const file = `${out}/${screen.name}-${sheet}.png`
          await page.screenshot({ path: file })
          sheets.set(sheet, [...(sheets.get(sheet) ?? []), file])
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
          if (over) console.log(screen.name, sheet, `sticks out by ${over}`)
        }
      }
    } catch (e) {
      console.log(screen.name, language, String(e).split('\n')[0])
    }
    if (wrong.length) console.log(screen.name, language, wrong)
    await close()
  }
await browser.close()
await site.close()
if (has('--sheets'))
  for (const [sheet, files] of sheets)
    for (let i = 0; i < files.length; i += 9)
      execFileSync('montage', ['-label', '%t', ...files.slice(i, i + 9), '-tile', '3x3', '-geometry', '640x+6+6', `${out}/sheet-${sheet}-${i / 9}.jpg`])
