// What a technician does, against the scripted native side: by keyboard only where that is the point.
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
const role = (page, kind, name) => page.getByRole(kind, { name })

test('a whole session by keyboard', () =>
  at('fake=empty&customer=500', async (page, native) => {
    await page.keyboard.press('n')
    await role(page, 'heading', 'New session').waitFor()
    await page.keyboard.type('anna.weber@example.org')
    await page.keyboard.press('Tab')
    await page.keyboard.type('Anna Weber')
    await page.keyboard.press('Tab')
    await page.keyboard.type('n is a letter here')
    await page.keyboard.press('Enter')
    await page.frameLocator('iframe').getByText('Hello Anna Weber').waitFor()
    await role(page, 'button', 'Send e-mail and prepare session').focus()
    await page.keyboard.press('Enter')
    await page.getByText('4711 8862').waitFor()
    await role(page, 'status', 'Code: four seven one one, eight eight six two').waitFor()
    await page.getByText(/Active until tomorrow/).waitFor()
    await page.keyboard.press('r')
    const picture = role(page, 'application', 'Screen of PC-ANNA')
    await picture.waitFor()
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'application')
    await page.keyboard.type('never')
    assert.equal(await picture.getAttribute('data-typed'), 'never', 'the console’s keys rest while the picture has the keyboard')
    await page.keyboard.press('Control+Alt+Escape')
    await page.keyboard.press('e')
    await role(page, 'alertdialog', 'End the session with Anna Weber?').waitFor()
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('Ended and removed').waitFor()
    const calls = (await native.calls()).map((c) => c.split(' ')[0])
    for (const call of ['sessions.create', 'sessions.sendMail', 'remote.open', 'remote.close', 'sessions.end']) assert.ok(calls.includes(call), call)
  }))

test('a limit that is reached names who holds the places', () =>
  at('fake=limit', async (page) => {
    await page.keyboard.press('n')
    await role(page, 'region', 'All places are taken').getByText('Anna Weber').waitFor()
    await page.keyboard.type('x@example.org')
    await page.keyboard.press('Enter')
    await role(page, 'button', 'Copy link').click()
    await role(page, 'region', 'All places are taken').getByText('Ask Tom Brandt to end it').waitFor()
  }))

test('two computers: none goes on before one is chosen', () =>
  at('fake=choose', async (page, native) => {
    await page.keyboard.press('o')
    await page.getByText('2 computers answered').waitFor()
    assert.equal(await page.getByText('4711 8862').count(), 0)
    await role(page, 'button', 'Choose PC-ANNA').click()
    await page.getByText('4711 8862').waitFor()
    assert.ok((await native.calls()).includes('sessions.choose a i1'))
  }))

test('a wrong address is corrected and sent again', () =>
  at('fake=invited', async (page, native) => {
    await page.keyboard.press('o')
    await page.keyboard.press('a')
    const dialog = role(page, 'dialog', 'Correct the address')
    await dialog.getByLabel('E-mail of the customer').fill('anna@example.net')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    await page.getByText('anna@example.net').waitFor()
    assert.ok((await native.calls()).includes('sessions.resend a'))
  }))

test('what goes wrong is said in three parts, with details to copy', () =>
  at('fake=welcome', async (page, native) => {
    await native.fail('setup.useServer', { kind: 'offline', message: 'No server answers there', hint: 'Check the address.', details: 'dial tcp: refused' })
    await page.getByLabel('Address of the server').fill('https://nowhere.example')
    await role(page, 'button', 'Connect').click()
    const alert = page.getByRole('alert')
    await alert.getByText('No server answers there').waitFor()
    await alert.getByText('Check the address.').waitFor()
    assert.equal(await alert.getByText('dial tcp').isVisible(), false)
    await alert.getByText('Details', { exact: true }).click()
    await alert.getByText('dial tcp').waitFor()
  }))

test('remote control: chords, displays, view only, full screen and the one way out', () =>
  at('fake=remote', async (page, native) => {
    await page.keyboard.press('r')
    await role(page, 'application', 'Screen of PC-ANNA').waitFor()
    await role(page, 'button', 'Send keys').click()
    await role(page, 'menuitem', /Ctrl \+ Alt \+ Del/).click()
    await role(page, 'button', 'Display DP-1').click()
    await role(page, 'menuitemcheckbox', /HDMI-1/).click()
    await role(page, 'button', 'View only').click()
    await page.getByText('View only: nothing is sent').waitFor()
    await role(page, 'button', 'Full screen').click()
    await page.getByText('brings you back. It always works.').waitFor()
    await page.keyboard.press('Control+Alt+Escape')
    await role(page, 'button', 'Full screen').waitFor()
    const calls = await native.calls()
    for (const call of ['remote.chord a ctrl-alt-del', 'remote.selectDisplay a 2', 'remote.setViewOnly a true', 'shell.fullscreen true', 'shell.fullscreen false']) assert.ok(calls.includes(call), call)
  }))

test('an interrupted picture stays, with words and seconds', () =>
  at('fake=remote', async (page, native) => {
    await page.keyboard.press('r')
    await role(page, 'application', 'Screen of PC-ANNA').waitFor()
    await native.edit('a', { presence: 'reconnecting', presenceSince: Date.now() - 9000, link_state: 'reconnecting' })
    await page.getByText(/Trying again for \d+ s/).waitFor()
    await native.edit('a', { presence: 'online', link_state: 'open' })
    await page.getByText(/Trying again/).waitFor({ state: 'detached' })
    assert.equal((await native.calls()).filter((c) => c === 'remote.open a').length, 1, 'the picture was never thrown away')
  }))

test('the bar slides away and covers nothing', () =>
  at('fake=remote', async (page) => {
    await page.keyboard.press('r')
    const picture = role(page, 'application', 'Screen of PC-ANNA')
    await picture.waitFor()
    const bar = await role(page, 'toolbar', 'Remote Control tools').boundingBox()
    const below = await picture.boundingBox()
    assert.ok(below.y >= bar.y + bar.height - 1)
    await role(page, 'button', 'Slide the bar away').click()
    await page.mouse.move(600, 400)
    await page.waitForFunction(() => document.querySelector('[role=application]').getBoundingClientRect().top < 1)
    await page.mouse.move(600, 1)
    await page.waitForFunction(() => document.querySelector('[role=application]').getBoundingClientRect().top > 40)
  }))

test('the lab sees the bare picture with its corner at the window’s', () =>
  at('fake=bare', async (page) => {
    const box = await role(page, 'application', 'Screen of PC-ANNA').boundingBox()
    assert.deepEqual([box.x, box.y, box.width, box.height], [0, 0, 1920, 1080])
    assert.equal(await page.getByRole('toolbar').count(), 0)
  }))

test('history is searched, filtered and read by keyboard', () =>
  at('fake=many', async (page) => {
    await page.keyboard.press('2')
    await page.getByText('64 sessions').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('jonas')
    await page.getByText('7 sessions').waitFor()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    const panel = role(page, 'complementary', 'Timeline of the session')
    await panel.getByText('3 of them the customer').waitFor()
    await page.keyboard.press('ArrowDown')
    await panel.getByText('Connection 2').waitFor()
    await page.keyboard.press('Escape')
    await panel.waitFor({ state: 'detached' })
    await page.keyboard.press('/')
    await page.keyboard.press('Escape')
    await page.getByText('64 sessions').waitFor()
    await role(page, 'button', 'Contains').click()
    await role(page, 'menuitemcheckbox', 'Commands').click()
    await page.getByText(/^[1-9] sessions?$/).waitFor()
    await role(page, 'button', 'Remove the filter Commands').click()
    await page.getByText('64 sessions').waitFor()
  }))

test('a note keeps itself, tags are put on and taken off, a changed entry is shown', () =>
  at('fake=many', async (page) => {
    const panel = role(page, 'complementary', 'Timeline of the session')
    await page.keyboard.press('2')
    await role(page, 'button', 'Lea Sommer').first().click()
    await panel.getByText('Not what was written').waitFor()
    await panel.getByText('entry 8 was changed').waitFor()
    await panel.getByLabel('Your note').fill('Needs a new fuser')
    await panel.getByText(/^Kept/).waitFor()
    await role(panel, 'button', 'Add a tag').click()
    await page.keyboard.type('follow up')
    await page.keyboard.press('Enter')
    await role(panel, 'button', 'Remove the tag follow up').waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('/')
    await page.keyboard.type('fuser')
    await page.getByText('1 session', { exact: true }).waitFor()
    await role(page, 'button', 'Lea Sommer').first().click()
    await role(panel, 'button', 'Remove the tag follow up').click()
    await role(panel, 'button', 'Remove the tag follow up').waitFor({ state: 'detached' })
    assert.equal(await panel.getByLabel('Your note').inputValue(), 'Needs a new fuser')
  }))

test('a hundred thousand sessions scroll anywhere, and an export of them is cancelled', () =>
  at('fake=huge', async (page) => {
    await page.keyboard.press('2')
    await page.getByText('100,000 sessions').waitFor()
    const table = role(page, 'table', 'History')
    for (const row of [50_000, 99_990, 12_345, 0]) {
      await table.evaluate((box, y) => (box.scrollTop = y), row * 48)
      await page.locator(`[data-row="${row}"] button`).waitFor()
      assert.ok((await page.locator('[data-row]').count()) < 60, 'more rows are there than are seen')
    }
    await page.locator('[data-row="0"] button').focus()
    await page.keyboard.press('End')
    await page.locator('[data-row="99999"] button:focus').waitFor()
    await page.keyboard.press('Home')
    await page.locator('[data-row="0"] button:focus').waitFor()
    await role(page, 'button', 'Export').click()
    await role(page, 'menuitem', 'JSON with all signatures').click()
    await page.getByRole('progressbar').waitFor()
    await role(page, 'button', 'Cancel').click()
    await page.getByRole('progressbar').waitFor({ state: 'detached' })
    assert.ok((await fake(page).calls()).includes('history.cancelExport'))
  }))

test('the palette does what it lists', () =>
  at('fake=many', async (page) => {
    await page.keyboard.press('Control+k')
    await page.keyboard.type('history')
    await page.keyboard.press('Enter')
    await role(page, 'heading', 'History').waitFor()
  }))

test('language and colours change at once', () =>
  at('fake=empty', async (page) => {
    await page.keyboard.press(',')
    await role(page, 'button', 'Appearance').click()
    await page.getByText('Dark', { exact: true }).click()
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark')
    await page.getByText('Deutsch', { exact: true }).click()
    await role(page, 'heading', 'Einstellungen').waitFor()
  }))

test('everything still fits at 960 × 640', () =>
  at('fake=long&lang=de', async (page) => {
    for (const go of ['1', 'n', '2', '3']) {
      await page.keyboard.press(go)
      await page.waitForTimeout(150)
      const out = await page.evaluate(() => [...document.querySelectorAll('button, h1, h2, input')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.visually-hidden')).map((e) => e.outerHTML.slice(0, 120)))
      assert.deepEqual(out, [])
      if (go === 'n') await page.getByRole('button', { name: 'Abbrechen' }).click()
    }
  }, { width: 960, height: 640 }))

test('the sign-in is typed, letter by letter, and the keyboard stays in its field', () =>
  at('fake=signin', async (page) => {
    await page.waitForFunction(() => document.activeElement?.getAttribute('type') === 'email')
    await page.keyboard.type('tess@example.org')
    assert.equal(await page.getByLabel('E-mail').inputValue(), 'tess@example.org')
    await page.keyboard.press('Tab')
    await page.keyboard.type('correct horse battery')
    assert.equal(await page.getByLabel('Password').inputValue(), 'correct horse battery')
  }))

test('the ways to invite stay in sight in a small window', () =>
  at('fake=empty', async (page) => {
    await page.keyboard.press('n')
    await page.keyboard.type('anna@example.org')
    await page.keyboard.press('Enter')
    await page.frameLocator('iframe').getByText('Hello').first().waitFor()
    const box = await role(page, 'button', 'Copy link').boundingBox()
    assert.ok(box.y + box.height <= 800, `Copy link ends at ${box.y + box.height}`)
  }))

test('why a computer does not go on is told where one waits for it', () =>
  at('fake=refused', async (page, native) => {
    await page.getByText('Does not work there yet').waitFor()
    await page.keyboard.press('o')
    await page.getByText('The desktop on PC-ANNA (Wayland) does not let a program show it.').waitFor()
    await native.edit('a', { refused: { why: 'earlier', computer: '', at: Date.now() } })
    await page.getByText('An earlier session on the customer’s computer is not over.').waitFor()
    await native.edit('a', { refused: undefined })
    await page.getByText('Does not work there yet').waitFor({ state: 'detached' })
  }))

test('a restart is asked for, told while it lasts, and over when the computer is back', () =>
  at('fake=restartable', async (page, native) => {
    await page.keyboard.press('o')
    await page.getByText('Comes back when somebody signs in.').first().waitFor()
    await page.keyboard.press('w')
    await role(page, 'button', 'Ask to restart').click()
    await page.getByText(/The customer is asked about the restart\. \d+ s are left to refuse\./).waitFor()
    assert.ok((await native.calls()).includes('sessions.reboot a'))
    assert.equal(await role(page, 'button', 'Reboot and reconnect').count(), 0)
    await native.edit('a', { reboot: undefined })
    await page.evaluate(() => window.daypassFake.change((s) => s.notices.push({ id: 'reboot-a', level: 'warn', fault: { kind: 'denied', message: 'The customer did not let the computer restart.', hint: 'Speak with the customer, then ask again.', details: '', op: 'remote.reboot' } })))
    await page.getByText('The customer did not let the computer restart.').waitFor()
    await role(page, 'button', 'Dismiss').click()
    await page.getByText('The customer did not let the computer restart.').waitFor({ state: 'detached' })
    await native.edit('a', { reboot: { state: 'restarting', since: Date.now() }, presence: 'offline' })
    await page.getByText('Restarting…').first().waitFor()
    await page.getByText(/The session waits for it and goes on by itself/).waitFor()
    await native.edit('a', { reboot: undefined, presence: 'online', standing: { after: 'login', noDesktop: true } })
    await page.getByText(/nobody is signed in to a desktop that can be shown/).waitFor()
  }))

test('a restart is asked for from Remote Control, which stays open', () =>
  at('fake=restartable', async (page, native) => {
    await page.keyboard.press('r')
    await role(page, 'application', 'Screen of PC-ANNA').waitFor()
    await page.keyboard.press('Control+Alt+Escape')
    await page.keyboard.press('w')
    await role(page, 'button', 'Ask to restart').click()
    await page.getByText(/The customer is asked about the restart/).waitFor()
    await native.edit('a', { reboot: { state: 'restarting', since: Date.now() } })
    await role(page, 'heading', 'Restarting…').waitFor()
    await native.edit('a', { reboot: undefined })
    await role(page, 'heading', 'Restarting…').waitFor({ state: 'detached' })
    assert.ok(!(await native.calls()).some((c) => c.startsWith('remote.close')))
  }))
