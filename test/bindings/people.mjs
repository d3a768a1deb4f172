// people.mjs ADMIN COLLEAGUE SERVER EMAIL PASSWORD SEED: an admin and a colleague, each at a real console of their own, at one
// real server: second step, invitation, a lead who ends a colleague's session, entitlements, a console that is signed out.
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import path from 'node:path'

const require = createRequire(new URL('../../frontend/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const [adminURL, colleagueURL, server, email, password, seed] = process.argv.slice(2)
const results = process.env.DAYPASS_RESULTS || ''

// authenticator shows a one-time code (RFC 6238) as a person's telephone does. Each counts once, and the server takes one
// step of clock error: a second code in the same half minute is that of the next.
const spent = new Map()
function authenticator(base32) {
  const clean = base32.replace(/\s/g, '')
  const bits = [...clean].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const at = Math.max(Math.floor(Date.now() / 30000), (spent.get(clean) ?? 0) + 1)
  spent.set(clean, at)
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(at))
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
let excused = 0
async function open(url) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage()
  page.on('pageerror', (e) => (ofWails(e) ? excused++ : complaints.push(`page error: ${e.message}\n${e.stack}`)))
  page.on('console', (m) => m.type() === 'error' && complaints.push(`console: ${m.text()}`))
  page.setDefaultTimeout(30_000)
  await page.goto(url)
  return page
}
const admin = await open(adminURL)
const colleague = await open(colleagueURL)
const pages = { admin, colleague }

async function step(what, run) {
  const t = Date.now()
  try {
    await run()
  } catch (e) {
    console.error(`FAILED: ${what}\n${e.stack}`)
    for (const [name, page] of Object.entries(pages)) {
      if (results) await page.screenshot({ path: path.join(results, `people-${name}-failed.png`) })
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
const personOf = async (name) => {
  await goTo(admin, /^Team/)
  await button(admin, 'People', { exact: true }).click()
  await button(admin, name, { exact: true }).click()
}

await step('an admin signs in: password first, then the second step', async () => {
  await admin.getByLabel('Address of the server').fill(server)
  await button(admin, 'Connect').click()
  await admin.getByLabel('E-mail').fill(email)
  await admin.getByLabel('Password').fill(password)
  await button(admin, 'Sign in', { exact: true }).click()
  await admin.getByText('One more step').waitFor()
  await admin.getByLabel('Six digits').fill('000000')
  await button(admin, 'Sign in', { exact: true }).click()
  await admin.getByRole('alert').first().waitFor()
  await admin.getByLabel('Six digits').fill(authenticator(seed))
  await button(admin, 'Sign in', { exact: true }).click()
  await admin.getByText('Nobody is waiting').waitFor()
})
let link = ''
await step('a colleague is invited by a link that is shown once', async () => {
  await goTo(admin, /^Team/)
  await button(admin, /^Invite a colleague/).click()
  await dialog(admin).getByLabel('E-mail').fill('tom@example.org')
  await dialog(admin).getByLabel('Name').fill('Tom Brandt')
  await button(admin, 'Make the invitation').click()
  await admin.getByText('The invitation of Tom Brandt is ready').waitFor()
  link = await admin.locator('dialog .link').innerText()
  assert.ok(link.startsWith(server) && link.includes('#'), link)
  await button(admin, 'Done').click()
  await admin.getByText('Invited, not here yet').waitFor()
  await admin.getByText('tom@example.org').waitFor()
})
await step('the colleague pastes it at another console, which thereby knows the server, and chooses a password', async () => {
  await button(colleague, 'I have an invitation or a reset code').click()
  await colleague.getByLabel('Link or code').fill('not a link')
  await button(colleague, 'Continue').click()
  await colleague.getByText('This is not a whole link or code.').waitFor()
  await colleague.getByLabel('Link or code').fill(link)
  await button(colleague, 'Continue').click()
  await colleague.getByText('Welcome to Contoso IT').waitFor()
  const join = button(colleague, 'Join and sign in')
  await colleague.getByLabel('New password').fill('tom')
  assert.ok(await join.isDisabled(), 'a short password is not sent at all')
  await colleague.getByLabel('New password').fill('seven grey herons at dusk')
  await join.click()
  await colleague.getByText('Nobody is waiting').waitFor()
  assert.equal(await colleague.getByRole('navigation', { name: 'Pages' }).getByRole('button', { name: /^Team/ }).count(), 0, 'a technician has no team page')
})
await step('the same link is good for nobody else', async () => {
  await goTo(admin, /^Sessions/)
  await goTo(admin, /^Team/)
  await button(admin, 'Tom Brandt', { exact: true }).waitFor()
  assert.equal(await admin.getByText('Invited, not here yet').count(), 0)
})
const invite = async (to) => {
  await goTo(colleague, /^Sessions/)
  await colleague.keyboard.press('n')
  await colleague.getByLabel('E-mail of the customer').fill(to)
  await button(colleague, 'Continue to the invitation').click()
  await button(colleague, 'Copy link').click()
}
await step('the colleague makes a session; the lead sees it under Company and ends it', async () => {
  await invite('anna@example.org')
  await colleague.getByText('Waiting for the customer').first().waitFor()
  await goTo(admin, /^Sessions/)
  await admin.getByRole('radio', { name: 'Company' }).check({ force: true })
  const row = admin.getByRole('row').filter({ hasText: 'Tom Brandt' })
  await row.waitFor()
  await row.getByRole('button', { name: /^End/ }).click()
  await admin.getByText('The link stops working at once').waitFor()
  await dialog(admin).getByRole('button', { name: 'End', exact: true }).click()
  await row.waitFor({ state: 'detached' })
  await goTo(colleague, /^Sessions/)
  await colleague.getByText('ended by a lead').first().waitFor()
  await colleague.getByText('0 of 1 yours').waitFor()
})
await step('a company with one place, taken by the lead: the colleague is told by whom, and whom else to ask', async () => {
  await goTo(admin, /^Team/)
  await button(admin, 'Company', { exact: true }).click()
  await admin.getByLabel('In the company').fill('1')
  await button(admin, 'Save changes').click()
  await admin.getByText('Company changed').waitFor()
  await goTo(admin, /^Sessions/)
  await admin.keyboard.press('n')
  await admin.getByLabel('E-mail of the customer').fill('carl@example.org')
  await button(admin, 'Continue to the invitation').click()
  await button(admin, 'Copy link').click()
  await admin.getByText('Waiting for the customer').first().waitFor()
  await invite('anna@example.org')
  const limit = colleague.getByRole('region', { name: 'All places are taken' })
  await limit.getByText('Ask Mia Roth to end it').waitFor()
  await limit.getByText('Mia Roth can end any session').waitFor()
  await goTo(admin, /^Team/)
  await button(admin, 'Company', { exact: true }).click()
  await admin.getByLabel('In the company').fill('5')
  await button(admin, 'Save changes').click()
  await admin.getByText('Company changed').last().waitFor()
})
await step('an entitlement is taken away: the colleague sees that it is not there, and who could change it', async () => {
  await personOf('Tom Brandt')
  await admin.getByRole('checkbox', { name: 'Clipboard' }).uncheck()
  await button(admin, 'Save changes').click()
  await admin.getByText('Tom Brandt changed').waitFor()
  await colleague.reload()
  await goTo(colleague, /^Settings/)
  // The console asks the server anew each minute.
  await colleague.getByText('Clipboard: not given to you').waitFor({ timeout: 90_000 })
  await colleague.getByText('Ask Mia Roth (admin).').waitFor()
})
await step('the colleague sets up a second step and keeps the recovery codes', async () => {
  await button(colleague, 'Set up the second step').click()
  await dialog(colleague).getByLabel('Password').fill('seven grey herons at dusk')
  await button(colleague, 'Continue').click()
  const secret = await colleague.locator('dialog .key').innerText()
  assert.ok(await colleague.getByRole('img', { name: 'QR code for the authenticator app' }).isVisible())
  await dialog(colleague).getByLabel('Then type the six digits it shows').fill(authenticator(secret))
  await button(colleague, 'Turn on').click()
  await colleague.getByText('Keep these recovery codes').waitFor()
  assert.equal(await colleague.locator('dialog ol li').count(), 10)
  await button(colleague, 'I kept them').click()
  await colleague.getByText('10 recovery codes are left.').waitFor()
})
await step('the admin signs that console out: it says so in plain words, and everything is there again afterwards', async () => {
  await personOf('Tom Brandt')
  await admin.getByRole('complementary', { name: 'Person' }).getByRole('button', { name: /^Sign out/ }).click()
  await dialog(admin).getByRole('button', { name: 'Sign out', exact: true }).click()
  await admin.getByText('is signed out').first().waitFor()
  await colleague.getByText('This console was signed out').waitFor()
  await colleague.getByText('Nothing is lost').waitFor()
  assert.equal(await colleague.getByLabel('E-mail').inputValue(), 'tom@example.org')
})
await step('the audit says all this, by name, and is whole', async () => {
  await goTo(admin, /^Team/)
  await button(admin, 'Audit', { exact: true }).click()
  for (const what of ['Colleague invited', 'Invitation used', 'Session ended', 'Rules changed', 'Person changed', 'Second step set up', 'Console signed out']) await admin.getByRole('cell', { name: what }).first().waitFor()
  await button(admin, 'Verify').click()
  await admin.getByText('Complete.').waitFor()
})
await step('a deactivated account opens nothing; reactivated it does', async () => {
  await personOf('Tom Brandt')
  await button(admin, 'Deactivate').click()
  await dialog(admin).getByRole('button', { name: 'Deactivate' }).click()
  await admin.getByText('Tom Brandt is deactivated').waitFor()
  await colleague.getByLabel('Password').fill('seven grey herons at dusk')
  await button(colleague, 'Sign in', { exact: true }).click()
  await colleague.getByText('This account is switched off.').waitFor()
  await button(admin, 'Reactivate').click()
  await admin.getByText('Tom Brandt can sign in again').waitFor()
})
await step('no complaint in the browsers', async () => {
  assert.deepEqual(complaints, [])
  assert.ok(excused <= 3, `${excused} errors of Wails in 3 loads`)
})
await browser.close()
