// drive.mjs URL: a person's way through the page, against the real console behind it. Exits non-zero where something is not
// as a person would expect it; every step says what it is.
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import path from 'node:path'

const require = createRequire(new URL('../../frontend/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const url = process.argv[2]
const results = process.env.DAYPASS_RESULTS || ''

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
const complaints = []
page.on('pageerror', (e) => complaints.push(`page error: ${e.message}`))
page.on('console', (m) => {
  if (m.type() === 'error') complaints.push(`console: ${m.text()}`)
})
page.setDefaultTimeout(30_000)

const steps = []
async function step(what, run) {
  const t = Date.now()
  try {
    await run()
  } catch (e) {
    if (results) await page.screenshot({ path: path.join(results, 'bindings-failed.png') })
    console.error(`FAILED: ${what}\n${e.stack}`)
    console.error(`the page says:\n${(await page.locator('body').innerText()).slice(0, 2000)}`)
    await browser.close()
    process.exit(1)
  }
  steps.push(what)
  console.log(`ok ${what} (${Date.now() - t} ms)`)
}
const button = (name, options = {}) => page.getByRole('button', { name, ...options })

await step('the console greets and asks where sessions meet', async () => {
  await page.goto(url)
  await page.getByText('Where should sessions meet?').waitFor()
})
await step('this computer: the embedded server starts, nobody is asked for an account', async () => {
  await button('Use this computer').click()
  await page.getByText('Nobody is waiting').waitFor()
})
await step('a bad address is refused before anything is made', async () => {
  await page.keyboard.press('n')
  await page.getByLabel('E-mail of the customer').fill('not an address')
  await button('Continue to the invitation').click()
  await page.getByText('This does not look like an e-mail address.').waitFor()
})
await step('a session is made and its link is on the page', async () => {
  await page.getByLabel('E-mail of the customer').fill('anna@example.org')
  await button('Continue to the invitation').click()
  await button('Copy link').click()
  await page.getByText('Waiting for the customer').first().waitFor()
})
await step('the list shows it, with its place counted', async () => {
  await page.keyboard.press('Escape')
  await page.getByRole('link', { name: /Sessions/ }).or(button(/^Sessions/)).first().click()
  await page.getByText('anna@example.org').first().waitFor()
  await page.getByText('1 of 1 yours').waitFor()
})
await step('a second session is refused and says who holds the place', async () => {
  await page.keyboard.press('n')
  await page.getByLabel('E-mail of the customer').fill('ben@example.org')
  await button('Continue to the invitation').click()
  await button('Copy link').click()
  await page.getByText('All places are taken').waitFor()
  await page.getByText('anna@example.org').first().waitFor()
})
await step('the settings tell the truth about this computer', async () => {
  await page.keyboard.press('Escape')
  await page.getByRole('link', { name: /Settings/ }).or(button(/^Settings/)).first().click()
  await page.getByText('Runs inside this window').waitFor()
  await page.getByText('In the keyring of this system').waitFor()
})
await step('cancelling asks, then frees the place', async () => {
  await page.getByRole('link', { name: /Sessions/ }).or(button(/^Sessions/)).first().click()
  await button('Cancel invitation').first().click()
  const dialog = page.getByRole('alertdialog').or(page.getByRole('dialog'))
  await dialog.getByRole('button', { name: 'Cancel invitation' }).click()
  await page.getByText('0 of 1 yours').waitFor()
})
await step('the history has it', async () => {
  await page.getByRole('link', { name: /History/ }).or(button(/^History/)).first().click()
  await page.getByText('anna@example.org').first().waitFor()
})
await step('no complaint in the browser', async () => assert.deepEqual(complaints, []))

await browser.close()
console.log(`${steps.length} steps`)
