// Every screen against WCAG 2.2 AA, in light and in dark, in both languages; none may ask for anything from elsewhere, break the
// policy, or stick out of its window, card or dialog, not even in German in the smallest window.
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

const broken = async (page) => {
  await page.evaluate(axe) // by the debugger: the page's own policy would refuse a script tag
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'], resultTypes: ['violations'] }))
  return found.violations.map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.html.slice(0, 160)} ${n.failureSummary ?? ''}`).join('\n  ')}`)
}
const sticksOut = (page) =>
  page.evaluate(() =>
    [document.documentElement, ...document.querySelectorAll('.page, .card, dialog, aside, nav, header, [role="menu"]')]
      .filter((e) => e.scrollWidth > e.clientWidth + 1)
      .map((e) => `${e.tagName} ${e.className} by ${e.scrollWidth - e.clientWidth}: ${(e.textContent ?? '').slice(0, 60)}`),
  )

for (const screen of screens.filter((s) => s.name !== 'bare'))
  test(screen.name, async () => {
    const { page, wrong, close } = await open(browser, `${site.url}/?${screen.query}`)
    try {
      await screen.to?.(page)
      await page.waitForTimeout(250)
      assert.deepEqual(await broken(page), [], 'light')
      assert.deepEqual(await sticksOut(page), [], 'in English')
      await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
      await page.evaluate(() => window.daypassFake.change((s) => { s.settings.language = 'de' }))
      await page.setViewportSize({ width: 960, height: 640 })
      await page.waitForTimeout(150)
      assert.deepEqual(await broken(page), [], 'dark, German, 960 × 640')
      assert.deepEqual(await sticksOut(page), [], 'in German, 960 × 640')
      const moving = await page.evaluate(() => document.getAnimations().filter((a) => Number(a.effect?.getComputedTiming().duration ?? 0) > 1).length)
      assert.equal(moving, 0, 'nothing moves where motion is not wanted')
      assert.deepEqual(wrong, [])
    } finally {
      await close()
    }
  })
