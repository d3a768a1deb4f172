// Debian's Chromium, and what every test of the page wants of it.
import { chromium } from 'playwright-core'

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  })

/** A page whose errors, policy violations and foreign requests are collected and must stay empty. */
export async function open(browser, url, { width = 1280, height = 800, colorScheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, locale: 'en-GB' })
  const page = await context.newPage()
  const wrong = []
  page.on('pageerror', (e) => wrong.push(String(e)))
  page.on('console', (m) => (m.type() === 'error' || m.text().includes('Content Security Policy')) && wrong.push(m.text()))
  page.on('request', (r) => !r.url().startsWith(new URL(url).origin) && !/^(data|blob|ws):/.test(r.url()) && wrong.push(`asks for ${r.url()}`))
  await page.goto(url)
  await page.locator('h1, [data-bare]').first().waitFor({ state: 'attached', timeout: 10_000 })
  return { page, wrong, close: () => context.close() }
}

/** What was asked of the fake native side, and what it lets a test do. */
export const fake = (page) => ({
  calls: () => page.evaluate(() => window.daypassFake.calls),
  edit: (id, patch) => page.evaluate(([id, patch]) => window.daypassFake.edit(id, (s) => Object.assign(s, patch)), [id, patch]),
  fail: (name, fault) => page.evaluate(([name, fault]) => window.daypassFake.failures.set(name, fault), [name, fault]),
})
