// Mail, the last hour and the same customer again, against the scripted native side.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fake, launch, open } from './browser.mjs'
import { serve } from './server.mjs'

let site, browser
before(async () => {
  site = await serve()
  browser = await launch()
})
after(async () => {
  await browser?.close()
  await site?.close()
})

async function at(query, run) {
  const { page, wrong, close } = await open(browser, `${site.url}/?${query}`)
  page.setDefaultTimeout(8000)
  try {
    await run(page, fake(page))
    assert.deepEqual(wrong, [])
  } finally {
    await close()
  }
}
const button = (page, name) => page.getByRole('button', { name })
const mailSettings = async (page) => {
  await page.keyboard.press(',')
  await page.getByRole('navigation', { name: 'Parts of the settings' }).getByRole('button', { name: 'Mail' }).click()
  await page.getByLabel('Sender').waitFor()
}
const failing = (page, name, fault) => page.evaluate(([n, f]) => globalThis.daypassFake.failures.set(n, f), [name, fault])

test('a provider fills in the form, and says what it wants', () =>
  at('fake=empty&mail=none', async (page, native) => {
    await mailSettings(page)
    await page.getByLabel('Sender').fill('mia.roth@gmx.de')
    await page.getByText('This looks like an address of GMX.').waitFor()
    await button(page, 'Use its settings').click()
    assert.equal(await page.getByLabel('Server', { exact: true }).inputValue(), 'mail.gmx.net')
    assert.equal(await page.getByLabel('User').inputValue(), 'mia.roth@gmx.de')
    await page.getByText('must be switched on first').waitFor()
    await page.getByLabel('Provider').selectOption({ label: 'Google Workspace, Gmail' })
    assert.equal(await page.getByLabel('Port').inputValue(), '465')
    await page.getByText('Google wants an app password here').waitFor()
    await page.getByLabel('Password').fill('abcd efgh')
    await page.getByLabel('Send a test to').fill('mia@example.org')
    await button(page, 'Save and send test').click()
    await page.getByText('The mail server took the test for mia@example.org').waitFor()
    const calls = await native.calls()
    assert.ok(calls.indexOf('mail.save smtp.gmail.com') >= 0 && calls.indexOf('mail.save smtp.gmail.com') < calls.indexOf('mail.test mia@example.org'), 'saved before it is tested')
  }))

test('a test that fails says why, with the words of the server folded', () =>
  at('fake=many', async (page) => {
    await mailSettings(page)
    await failing(page, 'mail.test', { kind: 'signed_out', message: 'The mail server does not take the user name and password.', hint: 'Check them in Settings, Mail. Some providers want an app password.', details: '535 5.7.8 authentication failed' })
    await button(page, 'Send test').click()
    await page.getByRole('alert').getByText('does not take the user name and password').waitFor()
    await page.locator('summary').click()
    await page.getByText('535 5.7.8 authentication failed').waitFor()
    await button(page, 'Send test').click()
    await page.getByText('The mail server took the test').waitFor()
    assert.equal(await page.getByRole('alert').count(), 0)
  }))

test('a test can be stopped, and shows how far it is', () =>
  at('fake=many&delay=1500', async (page, native) => {
    await mailSettings(page)
    await button(page, 'Send test').click()
    await page.getByText('Encrypting and signing in').waitFor()
    await button(page, 'Stop').click()
    await page.getByText('The mail server took the test').waitFor()
    assert.ok((await native.calls()).includes('mail.stopTest'))
  }))

test('without encryption only where it does not matter, or after a yes', () =>
  at('fake=many', async (page) => {
    await mailSettings(page)
    await page.locator('label').filter({ hasText: /^\s*None\s*$/ }).click()
    await page.getByText('others on the way can read the invitation').waitFor()
    const accept = page.getByRole('switch', { name: 'Send without encryption all the same' })
    assert.equal(await accept.getAttribute('aria-checked'), 'false')
    await page.getByLabel('Server', { exact: true }).fill('localhost')
    await page.getByText('nothing travels').waitFor()
    assert.equal(await accept.count(), 0)
  }))

test('a refused address is corrected and sent again from the card', () =>
  at('fake=mailfailed', async (page, native) => {
    await page.getByText('does not take the address anna.weber@example.org').waitFor()
    await button(page, 'Correct the address').click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox').first().fill('anna@example.org')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'hidden' })
    const calls = await native.calls()
    assert.ok(calls.some((c) => c.startsWith('sessions.correct a anna@example.org')), calls.join())
    if (await button(page, 'Send again').count()) await button(page, 'Send again').first().click()
    await page.getByText(/E-mail sent/).waitFor()
  }))

test('wrong settings lead to the settings', () =>
  at('fake=mailsettings', async (page) => {
    await button(page, 'To the mail settings').click()
    await page.getByLabel('Sender').waitFor()
  }))

test('own words are in the preview, as it looks and as text', () =>
  at('fake=empty', async (page) => {
    await page.keyboard.press('n')
    await page.keyboard.type('anna.weber@example.org')
    await page.keyboard.press('Enter')
    await page.getByLabel('Your own words').fill('See you <b>soon</b>')
    await page.frameLocator('iframe').getByText('See you').waitFor()
    await page.locator('label').filter({ hasText: 'Plain text' }).click()
    await page.locator('pre').getByText('See you <b>soon</b>').waitFor()
  }))

test('where the server sends, its price is said before and after', () =>
  at('fake=empty&mail=server', async (page) => {
    await page.keyboard.press('n')
    await page.keyboard.type('anna.weber@example.org')
    await page.keyboard.press('Enter')
    await page.getByText('The server then knows the password of the link').waitFor()
    assert.equal(await page.getByText('Our server never sees it').count(), 0)
    assert.ok(await button(page, 'Send e-mail and prepare session').isEnabled())
  }))

test('the end is near: card, page and Remote Control say so, and can be told to be quiet', () =>
  at('fake=soon', async (page, native) => {
    await page.getByText('Less than ten minutes are left of the session with Anna Weber.').waitFor()
    await page.getByText('9 min left').waitFor()
    await page.keyboard.press('o')
    await page.getByRole('status').getByText(/Then everything is closed/).waitFor()
    await page.keyboard.press('r')
    await page.getByRole('toolbar').getByText('9 min left').waitFor()
    await page.keyboard.press('Control+Alt+Escape')
    await button(page, 'Dismiss').click()
    await page.getByText('Less than ten minutes are left of the session').waitFor({ state: 'hidden' })
    assert.ok((await native.calls()).includes('shell.dismissNotice time:a'))
  }))

test('the same customer again is one click, through all steps', () =>
  at('fake=done', async (page, native) => {
    await button(page, 'New session with same customer').click()
    await role(page, 'heading', 'New session').waitFor()
    await page.waitForFunction(() => document.querySelector('input[type=email]')?.value === 'j.kim@example.org')
    await page.keyboard.press('Enter')
    await button(page, 'Send e-mail and prepare session').click()
    await page.getByText('Waiting for the customer').first().waitFor()
    assert.ok((await native.calls()).some((c) => c === 'sessions.create j.kim@example.org'))
  }))

test('no place for the same customer: who holds it is said', () =>
  at('fake=donefull', async (page) => {
    await button(page, 'New session with same customer').click()
    await role(page, 'heading', 'All places are taken').waitFor()
    await page.waitForFunction(() => document.querySelector('input[type=email]')?.value === 'j.kim@example.org')
  }))

const role = (page, kind, name) => page.getByRole(kind, { name })
