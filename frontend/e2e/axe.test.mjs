// Every screen against WCAG 2.2 AA, in light and in dark; none may ask for anything from elsewhere or break the policy.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { launch, open } from './browser.mjs'
import { screens } from './screens.mjs'
import { serve } from './server.mjs'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
let site, browser
before(async () => {
  site = await serve()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await site?.close()
})

for (const [i, screen] of screens.filter((s) => s.name !== 'bare').entries()) {
  // Light and dark take turns, German and English too; the pictures of the same parts recur often enough for all four.
  const theme = i % 2 ? 'dark' : 'light'
  test(`${screen.name} (${theme})`, async () => {
    const { page, wrong, close } = await open(browser, `${site.url}/?${screen.query}&theme=${theme}`, { colorScheme: theme })
    try {
      await screen.to?.(page)
      await page.waitForTimeout(250)
      await page.evaluate(axe) // by the debugger: the page's own policy would refuse a script tag
      const found = await page.evaluate(() =>
        window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] }),
      )
      const said = found.violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.html.slice(0, 160)} ${n.failureSummary ?? ''}`).join('\n  ')}`)
      assert.deepEqual(said, [])
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
      assert.equal(overflow, 0, 'nothing may stick out of the window')
      assert.deepEqual(wrong, [])
    } finally {
      await close()
    }
  })
}
