// Every screen and how to get there; shared by the pictures and the accessibility check.
const key = (...keys) => async (page) => {
  for (const k of keys) {
    await page.keyboard.press(k)
    await page.waitForTimeout(60)
  }
}
const section = (name) => async (page) => {
  await page.keyboard.press('3')
  await page.getByRole('navigation', { name: /Parts of the settings|Teile der Einstellungen/ }).getByRole('button').nth(name).click()
}
const invite = async (page) => {
  await page.keyboard.press('n')
  await page.getByRole('textbox').or(page.getByRole('combobox')).first().fill('anna.weber@example.org')
  await page.locator('input').nth(1).fill('Anna Weber')
  await page.locator('input').nth(2).fill('case 4711 "printer"')
  await page.keyboard.press('Enter')
  await page.locator('article dd').first().waitFor()
}

export const screens = [
  { name: 'starting', query: 'fake=starting' },
  { name: 'fatal', query: 'fake=fatal' },
  { name: 'welcome', query: 'fake=welcome' },
  { name: 'signin', query: 'fake=signin' },
  { name: 'unlock', query: 'fake=unlock' },
  { name: 'nokeyring', query: 'fake=nokeyring' },
  { name: 'empty', query: 'fake=empty' },
  { name: 'notice', query: 'fake=notice' },
  { name: 'sessions', query: 'fake=many' },
  { name: 'long', query: 'fake=long' },
  { name: 'offline', query: 'fake=offline' },
  { name: 'away', query: 'fake=away' },
  { name: 'mailfailed', query: 'fake=mailfailed' },
  { name: 'mailsettings', query: 'fake=mailsettings' },
  { name: 'mailfailed-open', query: 'fake=mailfailed', to: key('o') },
  { name: 'new-sent-server', query: 'fake=mailserver', to: key('o') },
  { name: 'new-byserver', query: 'fake=empty&mail=server', to: invite },
  { name: 'soon', query: 'fake=soon' },
  { name: 'soon-session', query: 'fake=soon', to: key('o') },
  { name: 'soon-remote', query: 'fake=soon', to: key('r') },
  { name: 'done', query: 'fake=done' },
  { name: 'again', query: 'fake=done', to: async (page) => { await page.getByRole('button', { name: /New session with same|Neue Sitzung mit demselben/ }).first().click(); await page.waitForTimeout(100) } },
  { name: 'palette', query: 'fake=many', to: key('Control+k') },
  { name: 'keys', query: 'fake=many', to: key('?') },
  { name: 'new', query: 'fake=empty', to: key('n') },
  { name: 'new-limit', query: 'fake=limit', to: key('n') },
  { name: 'new-invite', query: 'fake=empty', to: invite },
  { name: 'new-nomail', query: 'fake=empty&mail=none', to: invite },
  { name: 'new-waiting', query: 'fake=invited', to: key('o') },
  { name: 'new-code', query: 'fake=code', to: key('o') },
  { name: 'new-wrong', query: 'fake=wrong', to: key('o') },
  { name: 'new-expired', query: 'fake=expired', to: key('o') },
  { name: 'new-locked', query: 'fake=locked', to: key('o') },
  { name: 'new-choose', query: 'fake=choose', to: key('o') },
  { name: 'correct', query: 'fake=invited', to: key('o', 'a') },
  { name: 'cancel', query: 'fake=invited', to: key('x') },
  { name: 'session', query: 'fake=active', to: key('o') },
  { name: 'session-long', query: 'fake=long', to: key('o') },
  { name: 'session-away', query: 'fake=away', to: key('o') },
  { name: 'timeline', query: 'fake=active', to: key('t') },
  { name: 'verified', query: 'fake=active', to: async (page) => { await page.keyboard.press('o'); await page.getByRole('button', { name: /verified end|durchgehend/ }).click() } },
  { name: 'end', query: 'fake=active', to: key('e') },
  { name: 'remote', query: 'fake=remote', to: key('r') },
  { name: 'remote-stats', query: 'fake=remote', to: async (page) => { await page.keyboard.press('r'); await page.waitForTimeout(100); await page.keyboard.press('Control+Alt+Escape'); await page.keyboard.press('i') } },
  { name: 'remote-reconnecting', query: 'fake=reconnecting', to: key('r') },
  { name: 'remote-paused', query: 'fake=paused', to: key('r') },
  { name: 'remote-blocked', query: 'fake=blocked', to: key('r') },
  { name: 'remote-chords', query: 'fake=remote', to: async (page) => { await page.keyboard.press('r'); await page.getByRole('button', { name: /Send keys|Tasten senden/ }).click() } },
  { name: 'remote-full', query: 'fake=remote', to: async (page) => { await page.keyboard.press('r'); await page.getByRole('button', { name: /^Full screen|^Vollbild/ }).click() } },
  { name: 'bare', query: 'fake=bare' },
  { name: 'history', query: 'fake=many', to: key('2') },
  { name: 'history-open', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.getByRole('button', { name: 'Anna Weber' }).first().click() } },
  { name: 'history-empty', query: 'fake=empty', to: key('2') },
  { name: 'history-three', query: 'fake=three', to: key('2') },
  { name: 'history-huge', query: 'fake=huge', to: async (page) => { await page.keyboard.press('2'); await page.getByText(/100[.,]000/).waitFor(); await page.getByRole('table').hover(); await page.mouse.wheel(0, 2_400_000); await page.getByText('Anna Weber').first().waitFor() } },
  { name: 'history-none', query: 'fake=many', to: key('2', '/', 'x', 'q', 'z') },
  { name: 'history-filtered', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.getByRole('button', { name: /^(State|Zustand)$/ }).click(); await page.getByRole('menuitemcheckbox').nth(1).click(); await page.getByRole('button', { name: /^(Contains|Enthält)$/ }).click(); await page.getByRole('menuitemcheckbox').first().click() } },
  { name: 'history-waiting', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.getByRole('button', { name: 'Jonas Kim' }).first().click() } },
  { name: 'history-tampered', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.getByRole('button', { name: 'Lea Sommer' }).first().click() } },
  { name: 'history-time', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.getByRole('button', { name: /^(Time|Zeit)$/ }).click(); await page.getByRole('menuitemcheckbox').last().click() } },
  { name: 'history-receipt', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.getByRole('button', { name: /^(Export|Exportieren)$/ }).click(); await page.getByRole('menuitem').last().click() } },
  { name: 'history-exporting', query: 'fake=huge', to: async (page) => { await page.keyboard.press('2'); await page.getByRole('button', { name: /^(Export|Exportieren)$/ }).click(); await page.getByRole('menuitem').first().click(); await page.getByRole('progressbar').waitFor() } },
  { name: 'history-offline', query: 'fake=offline', to: key('2') },
  { name: 'settings-profile', query: 'fake=many', to: section(0) },
  { name: 'settings-mail', query: 'fake=many', to: section(1) },
  { name: 'settings-mail-none', query: 'fake=many', to: async (page) => { await section(1)(page); await page.locator('label').filter({ hasText: /^\s*(None|Keine)\s*$/ }).first().click() } },
  { name: 'settings-mail-failed', query: 'fake=many', to: async (page) => { await section(1)(page); await page.evaluate(() => globalThis.daypassFake.failures.set('mail.test', { kind: 'signed_out', message: 'The mail server does not take the user name and password.', hint: 'Check them in Settings, Mail. Some providers want an app password.', details: '535 5.7.8 Error: authentication failed', op: 'mail.send' })); await page.getByRole('button', { name: /Send me a test|Mir einen Test/ }).click(); await page.getByRole('alert').waitFor() } },
  { name: 'settings-appearance', query: 'fake=many', to: section(2) },
  { name: 'settings-server', query: 'fake=many', to: section(3) },
  { name: 'settings-doctor', query: 'fake=many', to: async (page) => { await section(4)(page); await page.getByRole('button', { name: /Check now|Jetzt prüfen/ }).click() } },
  { name: 'settings-about', query: 'fake=many', to: section(5) },
]
