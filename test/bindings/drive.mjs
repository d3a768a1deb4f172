// drive.mjs URL REMOTE SERVER EMAIL PASSWORD SEED: a person's way through the page, against the real consoles behind URL (first run
// on this computer) and REMOTE (first run at a server). Exits non-zero where something is not as a person would expect it;
// every step says what it is.
import { createRequire } from 'node:module'
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { history } from './history.mjs'

const require = createRequire(new URL('../../frontend/package.json', import.meta.url))
const { chromium } = require('playwright-core')
const [url, remote, server, email, password, seed] = process.argv.slice(2)
// authenticator shows the one-time code of now (RFC 6238), as a person's telephone does.
function authenticator(base32) {
  const bits = [...base32].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)))
  const h = createHmac('sha1', Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)))).update(step).digest()
  return String((h.readUInt32BE(h[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0')
}
const results = process.env.DAYPASS_RESULTS || ''

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
const complaints = []
let loads = 0
// The development server of Wails adds a script of its own to the page, which looks once for an element that only its own
// templates have. Exactly that, once a load, is no complaint about the page.
const ofWails = (e) => e instanceof Error && e.message === "Cannot read properties of null (reading 'nodes')" && /\/wails\/ipc\.js/.test(e.stack ?? '')
let excused = 0
page.on('pageerror', (e) => {
  if (ofWails(e)) excused++
  else complaints.push(`page error: ${e.message}\n${e.stack}`)
})
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
  loads++
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

// The mail server is a process of its own; each mail that it took is a file.
const { SMTP_PORT, SMTP_MAILS } = process.env
const took = () => fs.readdirSync(SMTP_MAILS).filter((f) => f.endsWith('.eml')).length
const goTo = (name) => page.getByRole('link', { name }).or(button(name)).first().click()
const mailed = async (n) => {
  for (let i = 0; took() < n; i++) {
    assert.ok(i < 200, `${took()} mails came, ${n} were waited for`)
    await page.waitForTimeout(50)
  }
  const text = fs.readFileSync(path.join(SMTP_MAILS, `${n}.eml`), 'utf8')
  return { to: /^To: <?([^>\r\n]*)/m.exec(text)?.[1], text: text.replace(/=\r\n/g, '').replace(/=3D/g, '=') }
}

await step('another console, first run at a server: a wrong address gets words', async () => {
  loads++
  await page.goto(remote)
  await page.getByText('Where should sessions meet?').waitFor()
  await page.getByLabel('Address of the server').fill('http://127.0.0.1:1')
  await button('Connect').click()
  await page.getByRole('alert').first().waitFor()
})
await step('the right one asks who one is; a wrong password gets words', async () => {
  await page.getByLabel('Address of the server').fill(server)
  await button('Connect').click()
  await button('Sign in', { exact: true }).waitFor()
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill('not it')
  await button('Sign in', { exact: true }).click()
  await page.getByRole('alert').getByText(/password/i).first().waitFor()
})
await step('the right one lets in', async () => {
  await page.getByLabel('Password').fill(password)
  await button('Sign in', { exact: true }).click()
  await page.getByLabel('Six digits').fill(authenticator(seed))
  await button('Sign in', { exact: true }).click()
  await page.getByText('Nobody is waiting').waitFor()
})
await step('the settings say which server, and who', async () => {
  await goTo(/^Settings/)
  await page.getByText('Runs elsewhere').waitFor()
  await page.getByText(email).first().waitFor()
})
await step('without a mail account nothing can be sent, and the page says so', async () => {
  await goTo(/^Sessions/)
  await page.keyboard.press('n')
  await page.getByLabel('E-mail of the customer').fill('nobody@example.org')
  await button('Continue to the invitation').click()
  await page.getByText('Sending needs a mail account.').waitFor()
  assert.ok(await button('Send e-mail and prepare session').isDisabled())
})
await step('a mail server that is not there: the test says so', async () => {
  await page.getByText('Set it up in Settings').click()
  await page.getByLabel('Server', { exact: true }).fill('localhost')
  await page.getByLabel('Port').fill('1')
  await page.getByLabel('User').fill('mia')
  await page.getByLabel('Password').fill('wrong')
  await page.getByLabel('Sender').fill('support@example.com')
  await page.getByLabel('Send a test to').fill('mia@example.com')
  await button('Save and send test').click()
  await page.getByRole('alert').getByText('Nothing answers at this port of the mail server.').waitFor()
})
await step('one that is there, with a wrong password: the test says so, with the words of the server', async () => {
  await page.getByLabel('Port').fill(SMTP_PORT)
  await button('Save and send test').click()
  await page.getByRole('alert').getByText('does not take the user name and password').waitFor()
  await page.locator('summary').first().click()
  await page.getByText(/535 /).waitFor()
  assert.equal(took(), 0)
})
await step('with the right one the test arrives', async () => {
  await page.getByLabel('Password').fill('right')
  await button('Save and send test').click()
  await page.getByText('The mail server took the test for mia@example.com').waitFor()
  assert.equal((await mailed(1)).to, 'mia@example.com')
})
await step('the invitation shows what will be sent; an address that does not exist is refused in words', async () => {
  await goTo(/^Sessions/)
  await page.keyboard.press('n')
  await page.getByLabel('E-mail of the customer').fill('unknown@example.org')
  await button('Continue to the invitation').click()
  await page.getByLabel('Your own words').fill('As we said on the phone.')
  await page.frameLocator('iframe').getByText('As we said on the phone.').waitFor()
  await page.getByText('What the customer receives').or(page.getByLabel('What the customer receives')).first().waitFor()
  await button('Send e-mail and prepare session').click()
  await page.getByText('The mail server does not take the address unknown@example.org.').first().waitFor()
  await page.keyboard.press('Escape')
  await page.getByText('The mail server does not take the address unknown@example.org.').waitFor() // on the card, too
  assert.equal(took(), 1)
})
await step('the corrected address gets the e-mail, with the link', async () => {
  await button('Correct the address').first().click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('E-mail of the customer').fill('anna@example.org')
  await dialog.getByRole('button', { name: 'Save and send again' }).click()
  const m = await mailed(2)
  assert.equal(m.to, 'anna@example.org')
  assert.ok(m.text.includes('As we said on the phone.'))
  assert.match(m.text, /\/s\/[0-9A-Z]{26}#[0-9A-Z]{26}/)
  await page.getByText(/e-mail sent/i).first().waitFor()
})
await step('it can be sent again', async () => {
  await page.keyboard.press('o')
  await page.getByText('Sent means that the mail server took it.').waitFor()
  await button('Send again').first().click()
  assert.equal((await mailed(3)).to, 'anna@example.org')
})
await step('the place is taken, and cancelling frees it', async () => {
  await page.keyboard.press('Escape')
  await goTo(/^Sessions/)
  await page.getByText('1 of 1 yours').waitFor()
  await button('Cancel invitation').first().click()
  await page.getByRole('alertdialog').or(page.getByRole('dialog')).getByRole('button', { name: 'Cancel invitation' }).click()
  await page.getByText('0 of 1 yours').waitFor()
})
await step('the history has the timeline of all this', async () => {
  await goTo(/^History/)
  await button('anna', { exact: true }).first().click()
  await page.getByText('Signed by the console alone').first().waitFor()
})
await history({ page, step, button, goTo })
await step('signing out asks anew where sessions meet', async () => {
  await goTo(/^Settings/)
  await button('Sign out').click()
  await page.getByText('Where should sessions meet?').waitFor()
})
await step('no complaint in the browser', async () => {
  assert.deepEqual(complaints, [])
  assert.ok(excused <= loads, `${excused} errors of Wails in ${loads} loads`)
})

await browser.close()
console.log(`${steps.length} steps`)
