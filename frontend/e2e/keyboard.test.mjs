// Whole ways without a mouse; after a dialog the focus is where it was, and nothing holds it.
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

async function at(query, run, options) {
  const { page, wrong, close } = await open(browser, `${site.url}/?${query}`, options)
  page.setDefaultTimeout(8000)
  try {
    await run(page, fake(page))
    assert.deepEqual(wrong, [])
  } finally {
    await close()
  }
}
const role = (page, kind, name) => page.getByRole(kind, { name, exact: true })
const focused = (page) => page.evaluate(() => (document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '').trim())
/** Tab until what has the focus is called so; at most n times, so that a trap is found. */
async function tabTo(page, name, n = 40) {
  for (let i = 0; i < n; i++) {
    await page.keyboard.press('Tab')
    const on = await focused(page)
    if (name instanceof RegExp ? name.test(on) : on.startsWith(name)) return
  }
  assert.fail(`Tab does not come to ${name}; it is on ${await focused(page)}`)
}

test('a colleague is invited, and the invitation taken back', () =>
  at('fake=team', async (page, native) => {
    await page.keyboard.press('3')
    await page.getByRole('table').waitFor()
    await tabTo(page, 'Invite a colleague')
    await page.keyboard.press('Enter')
    const dialog = role(page, 'dialog', 'Invite a colleague')
    await dialog.waitFor()
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    assert.match(await focused(page), /^Invite a colleague/, 'the focus is back on the button')
    await page.keyboard.press('i')
    await dialog.waitFor()
    await page.waitForFunction(() => document.activeElement?.getAttribute('type') === 'email')
    await page.keyboard.type('jo.lang@contoso.example')
    await page.keyboard.press('Enter')
    const pass = role(page, 'alertdialog', 'The invitation of jo.lang@contoso.example is ready')
    await pass.waitFor()
    await tabTo(page, 'Done', 8)
    await page.keyboard.press('Enter')
    await pass.waitFor({ state: 'detached' })
    await tabTo(page, 'Take back')
    await page.keyboard.press('Enter')
    const sure = page.getByRole('alertdialog')
    await sure.waitFor()
    assert.equal(await focused(page), 'Keep it', 'what destroys is never on Enter at once')
    await tabTo(page, 'Take back', 3)
    await page.keyboard.press('Enter')
    await sure.waitFor({ state: 'detached' })
    const calls = (await native.calls()).map((c) => c.split(' ')[0])
    for (const call of ['team.invite', 'team.revokeInvitation']) assert.ok(calls.includes(call), call)
  }))

test('a colleague is opened with the arrows, changed and closed', () =>
  at('fake=team', async (page, native) => {
    await page.keyboard.press('3')
    await page.getByRole('table').waitFor()
    await tabTo(page, 'Ines Alvarez')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Ines Alvarez' }).waitFor()
    await page.keyboard.press('ArrowDown')
    await page.getByRole('heading', { name: /^Annemarie/ }).waitFor()
    await role(page, 'checkbox', 'Lead').focus()
    await page.keyboard.press('Space')
    await tabTo(page, 'Save changes')
    await page.keyboard.press('Enter')
    await page.getByText(/Annemarie.* changed/).first().waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('heading', { name: /^Annemarie/ }).waitFor({ state: 'detached' })
    assert.ok((await native.calls()).some((c) => c.startsWith('team.change ')))
  }))

test('history: searched, opened, noted, a day chosen, and back', () =>
  at('fake=many', async (page, native) => {
    await page.keyboard.press('2')
    await page.getByText('64 sessions').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('sommer')
    await page.getByText('7 sessions').waitFor()
    await page.keyboard.press('Enter')
    await page.waitForFunction(() => document.activeElement?.textContent === 'Lea Sommer')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Lea Sommer' }).waitFor()
    for (let i = 0; i < 20 && (await page.evaluate(() => document.activeElement?.tagName)) !== 'TEXTAREA'; i++) await page.keyboard.press('Tab')
    await page.keyboard.type('Asked for a new toner.')
    await page.getByText(/Kept/).waitFor()
    await page.keyboard.press('Escape')
    if (await page.getByRole('heading', { name: 'Lea Sommer' }).count()) {
      await page.keyboard.press('Shift+Tab')
      await page.keyboard.press('Escape')
    }
    await page.waitForFunction(() => document.activeElement?.textContent === 'Lea Sommer')
    assert.ok((await native.calls()).some((c) => c.startsWith('history.setNote')))
    // From … to …: in the order in which the reader writes dates
    await page.keyboard.press('/')
    await page.keyboard.press('Escape')
    await tabTo(page, 'Time')
    await page.keyboard.press('Enter')
    await role(page, 'menuitemcheckbox', 'From … to …').waitFor()
    await page.keyboard.press('End')
    await page.keyboard.press('Enter')
    const dialog = role(page, 'dialog', 'Time')
    await dialog.waitFor()
    await dialog.getByRole('spinbutton').first().focus()
    await page.keyboard.type('01022020')
    await tabTo(page, 'Show', 8)
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    await page.getByText('1 Feb 2020').waitFor()
  }))

test('settings: from part to part, a switch, the password, and back', () =>
  at('fake=team', async (page, native) => {
    await page.keyboard.press(',')
    await tabTo(page, 'Appearance')
    await page.keyboard.press('Enter')
    await page.getByRole('radio', { name: 'Dark' }).focus()
    await page.keyboard.press('Space')
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'dark')
    await page.keyboard.press(',')
    await tabTo(page, 'Change password')
    await page.keyboard.press('Enter')
    const dialog = role(page, 'dialog', 'Change password')
    await dialog.waitFor()
    await page.keyboard.type('old password of mine')
    await page.keyboard.press('Tab')
    await page.keyboard.type('quiet lamp under seven trees')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    assert.equal(await focused(page), 'Change password')
    assert.ok((await native.calls()).some((c) => c.startsWith('account.changePassword')))
  }))

test('every dialog keeps the focus in, lets it out, and puts it back', () =>
  at('fake=active', async (page) => {
    for (const [press, kind] of [['?', 'dialog'], ['e', 'alertdialog'], ['Control+k', 'dialog']]) {
      const before = page.getByRole('button', { name: 'Remote Control' })
      await before.focus()
      await page.keyboard.press(press)
      const dialog = page.getByRole(kind)
      await dialog.waitFor()
      for (let i = 0; i < 6; i++) {
        await page.keyboard.press('Tab')
        // The web view itself may have a turn between the last and the first: then nothing on the page has the focus.
        assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement?.closest('dialog') !== null), `${press}: the focus left the dialog`)
      }
      await page.keyboard.press('Escape')
      await dialog.waitFor({ state: 'detached' })
      assert.ok(await before.evaluate((b) => b === document.activeElement), `${press}: the focus is back`)
    }
  }))

test('the keys that are listed are the keys that work', () =>
  at('fake=many', async (page) => {
    await page.keyboard.press('?')
    const listed = await page.getByRole('dialog').locator('dl kbd').allTextContents()
    await page.keyboard.press('Escape')
    assert.ok(listed.length > 8)
    assert.equal(new Set(listed).size, listed.length, 'no key means two things at once')
    for (const [key, heading] of [['2', 'History'], [',', 'Settings'], ['1', 'Ad Hoc Support'], ['N', 'New session']]) {
      assert.ok(listed.includes(key), key)
      await page.keyboard.press(key.toLowerCase())
      await page.getByRole('heading', { name: heading, level: 1 }).waitFor()
      await page.getByRole('heading', { level: 1 }).focus()
    }
  }))
