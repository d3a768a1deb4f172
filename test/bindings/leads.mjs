// leads.mjs LEAD TECHNICIAN SECOND SERVER EMAIL PASSWORD SEED: what a technician did is read by a lead, opened with the company's
// key; a recovery key on paper; a second computer of the lead that gets the key by itself; and the server gone.
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import path from 'node:path'

const require = createRequire(new URL('../../frontend/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const [leadURL, technicianURL, secondURL, server, email, password, seed] = process.argv.slice(2)
const results = process.env.DAYPASS_RESULTS || ''

// One-time codes as in people.mjs: each counts once, and the server takes one step of clock error.
let spent = 0
function code() {
  const bits = [...seed.replace(/\s/g, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  spent = Math.max(Math.floor(Date.now() / 30000), spent + 1)
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(spent))
  const h = createHmac('sha1', Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))).update(step).digest()
  return String((h.readUInt32BE(h[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0')
}

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const complaints = []
// See drive.mjs: one known error of the development server's own script, once a load.
const ofWails = (e) => e instanceof Error && e.message === "Cannot read properties of null (reading 'nodes')" && /\/wails\/ipc\.js/.test(e.stack ?? '')
async function open(url) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage()
  page.on('pageerror', (e) => ofWails(e) || complaints.push(`page error: ${e.message}\n${e.stack}`))
  page.on('console', (m) => m.type() === 'error' && complaints.push(`console: ${m.text()}`))
  page.setDefaultTimeout(30_000)
  await page.goto(url)
  return page
}
const [lead, technician, second] = await Promise.all([leadURL, technicianURL, secondURL].map(open))
const pages = { lead, technician, second }
async function step(what, run) {
  const t = Date.now()
  try {
    await run()
  } catch (e) {
    console.error(`FAILED: ${what}\n${e.stack}`)
    for (const [name, page] of Object.entries(pages)) {
      if (results) await page.screenshot({ path: path.join(results, `leads-${name}-failed.png`) })
      console.error(`the page of ${name} says:\n${(await page.locator('body').innerText()).slice(0, 1500)}`)
    }
    await browser.close()
    process.exit(1)
  }
  console.log(`ok ${what} (${Date.now() - t} ms)`)
}
const button = (page, name, options = {}) => page.getByRole('button', { name, ...options })
const goTo = (page, name) => page.getByRole('navigation', { name: 'Pages' }).getByRole('button', { name }).click()
const dialog = (page) => page.getByRole('alertdialog').or(page.getByRole('dialog'))
const summary = (page) => page.locator('details summary')
const verdict = (page) => page.getByRole('complementary', { name: 'Timeline of the session' })

async function signIn(page) {
  await page.getByLabel('Address of the server').fill(server)
  await button(page, 'Connect').click()
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await button(page, 'Sign in', { exact: true }).click()
  await page.getByText('One more step').waitFor()
  await page.getByLabel('Six digits').fill(code())
  await button(page, 'Sign in', { exact: true }).click()
  await page.getByRole('navigation', { name: 'Pages' }).waitFor()
}

/** Looks at a session that Tom did: whom it was for, and what the check of its record says. */
async function reads(page) {
  await goTo(page, /^History/)
  const row = page.locator('[data-row] button').filter({ hasText: 'wombat' }).first()
  await row.waitFor()
  await row.click()
  await verdict(page).getByText('wombat@example.org').first().waitFor()
  await verdict(page).getByText('Tom Brandt').first().waitFor()
  await verdict(page).getByText(/entries in an unbroken chain, signed by this console\./).waitFor()
}

await step('the first lead makes the key, and is told that there is no recovery key', async () => {
  await signIn(lead)
  await goTo(lead, /^History/)
  await summary(lead).getByText('There is no recovery key.').waitFor()
})
await step('a recovery key is shown once and counts when it is kept', async () => {
  await summary(lead).click()
  await button(lead, 'Make a recovery key…').click()
  await dialog(lead).getByRole('heading', { name: 'Recovery key of the company’s history' }).waitFor()
  const groups = await dialog(lead).locator('ol li').allInnerTexts()
  assert.ok(groups.length === 8 && groups.every((g) => /^[0-9A-HJKMNP-TV-Z]{7}$/.test(g)), groups.join())
  assert.ok(await button(dialog(lead), 'I kept it').isDisabled(), 'it counts before somebody said so')
  await dialog(lead).getByRole('checkbox').check()
  await button(dialog(lead), 'I kept it').click()
  await lead.getByText('There is a recovery key on paper.').waitFor()
  await lead.getByText(/^Key number 2/).waitFor()
})
await step('a technician joins, prepares a session and ends it', async () => {
  await goTo(lead, /^Team/)
  await button(lead, /^Invite a colleague/).click()
  await dialog(lead).getByLabel('E-mail').fill('tom@example.org')
  await dialog(lead).getByLabel('Name').fill('Tom Brandt')
  await button(lead, 'Make the invitation').click()
  await lead.getByText('The invitation of Tom Brandt is ready').waitFor()
  const link = await lead.locator('dialog .link').innerText()
  await button(lead, 'Done').click()
  await button(technician, 'I have an invitation or a reset code').click()
  await technician.getByLabel('Link or code').fill(link)
  await button(technician, 'Continue').click()
  await technician.getByLabel('New password').fill('seven grey herons at dusk')
  await button(technician, 'Join and sign in').click()
  await technician.getByText('Nobody is waiting').waitFor()
  await technician.keyboard.press('n')
  await technician.getByLabel('E-mail of the customer').fill('wombat@example.org')
  await button(technician, 'Continue to the invitation').click()
  await button(technician, 'Copy link').click()
  await technician.getByText('Waiting for the customer').first().waitFor()
  await goTo(lead, /^Sessions/)
  await lead.getByRole('radio', { name: 'Company' }).check({ force: true })
  const row = lead.getByRole('row').filter({ hasText: 'Tom Brandt' })
  await row.getByRole('button', { name: /^End/ }).click()
  await button(dialog(lead), 'End', { exact: true }).click()
  await row.waitFor({ state: 'detached' })
  await goTo(technician, /^History/)
  assert.equal(await technician.getByText('recovery key').count(), 0, 'a technician has nothing to do with keys')
})
await step('the lead reads whom it was for and what happened, and the record is whole', async () => {
  await goTo(lead, /^History/)
  const row = lead.locator('[data-row] button').filter({ hasText: 'wombat' })
  for (let i = 0; i < 20 && (await row.count()) === 0; i++) {
    if ((await lead.locator('details[open]').count()) === 0) await summary(lead).click()
    await button(lead, 'Bring up to date now').click()
    await lead.waitForTimeout(1000)
    await goTo(lead, /^Sessions/)
    await goTo(lead, /^History/)
  }
  await reads(lead)
})
await step('a second computer of the lead gets the key by itself and reads it, too', async () => {
  await signIn(second)
  await goTo(second, /^History/)
  for (let i = 0; i < 20 && (await second.locator('[data-row] button').filter({ hasText: 'wombat' }).count()) === 0; i++) {
    for (const page of [lead, second]) {
      if ((await page.locator('details').count()) === 0) continue
      if ((await page.locator('details[open]').count()) === 0) await summary(page).click()
      await button(page, 'Bring up to date now').click()
    }
    await second.waitForTimeout(1000)
    await goTo(second, /^Sessions/)
    await goTo(second, /^History/)
  }
  await reads(second)
})
await step('with the server gone both can still read and check', async () => {
  const stopped = await fetch(process.env.STOP_SERVER)
  assert.equal(stopped.status, 200)
  for (const page of [lead, second]) {
    await page.reload()
    await reads(page)
  }
})
const bad = complaints.filter((c) => !/ERR_CONNECTION|WebSocket/.test(c))
assert.deepEqual(bad, [])
await browser.close()
