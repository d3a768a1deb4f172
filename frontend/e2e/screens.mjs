// Every screen and how to get there; shared by the pictures and the accessibility check.
const key = (...keys) => async (page) => {
  for (const k of keys) {
    await page.keyboard.press(k)
    await page.waitForTimeout(60)
  }
}
const section = (name) => async (page) => {
  await page.keyboard.press(',')
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

const code = async (page) => {
  await page.locator('input[type=email]').fill('lead@contoso.example')
  await page.locator('input[type=password]').fill('correct horse battery')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: /One more step|Noch ein Schritt/ }).waitFor()
}
const join = async (page, oneTime) => {
  await page.getByRole('button', { name: /I have an invitation|Ich habe eine Einladung/ }).click()
  if (!oneTime) return
  await page.locator('input').fill(oneTime)
  await page.keyboard.press('Enter')
  await page.locator('input[autocomplete=new-password]').waitFor()
}
const enrol = async (page) => {
  await page.locator('input[type=password]').fill('correct horse battery')
  await page.keyboard.press('Enter')
  await page.locator('figure svg').waitFor()
}
const company = (page) => page.getByRole('radio', { name: /^(Company|Firma)$/ }).check({ force: true })
const full = async (page) => {
  await page.keyboard.press('n')
  await page.locator('input').first().fill('anna@example.org')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: /Copy link|Link kopieren/ }).click()
  await page.getByText(/Ask Tom|Tom Brandt/).first().waitFor()
}
const team = (...then) => async (page) => {
  await page.keyboard.press('3')
  await page.locator('table').waitFor()
  for (const name of then) await page.getByRole('button', { name }).first().click()
}
const tab = (n) => async (page) => {
  await page.keyboard.press('3')
  await page.getByRole('navigation', { name: /Parts of the team|Teile der Teamseite/ }).getByRole('button').nth(n).click()
  await page.locator('form, table').first().waitFor()
}

export const screens = [
  { name: 'starting', query: 'fake=starting' },
  { name: 'fatal', query: 'fake=fatal' },
  { name: 'welcome', query: 'fake=welcome' },
  { name: 'signin', query: 'fake=signin' },
  { name: 'revoked', query: 'fake=revoked' },
  { name: 'signin-code', query: 'fake=signin', to: code },
  { name: 'signin-recovery', query: 'fake=signin', to: async (page) => { await code(page); await page.getByRole('button', { name: /phone is not here|Telefon ist nicht/ }).click() } },
  { name: 'join', query: 'fake=signin', to: (page) => join(page, '') },
  { name: 'join-invited', query: 'fake=signin', to: (page) => join(page, 'https://help.contoso.example/join#7QK2M-9XAH4-TC0ZR-DW8NE') },
  { name: 'join-reset', query: 'fake=signin', to: (page) => join(page, 'RESET-7QK2M-9XAH4-TC0ZR-DW8NE') },
  { name: 'enrol', query: 'fake=enrol' },
  { name: 'enrol-scan', query: 'fake=enrol', to: enrol },
  { name: 'enrol-codes', query: 'fake=enrol', to: async (page) => { await enrol(page); await page.locator('input').fill('123456'); await page.keyboard.press('Enter'); await page.locator('ol').waitFor() } },
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
  { name: 'refused', query: 'fake=refused' },
  { name: 'new-refused', query: 'fake=refused', to: key('o') },
  { name: 'new-declined', query: 'fake=declined', to: key('o') },
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
  { name: 'session-restart', query: 'fake=restartable', to: key('o', 'w') },
  { name: 'session-restart-asked', query: 'fake=restartasked', to: key('o') },
  { name: 'session-restarting', query: 'fake=restarting', to: key('o') },
  { name: 'session-nodesktop', query: 'fake=nodesktop', to: key('o') },
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
  { name: 'history-key', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.locator('details summary').click() } },
  { name: 'history-key-paper', query: 'fake=many', to: async (page) => { await page.keyboard.press('2'); await page.locator('details summary').click(); await page.getByRole('button', { name: /^(Make a recovery key|Wiederherstellungsschlüssel erzeugen)/ }).click(); await page.getByRole('alertdialog').waitFor() } },
  { name: 'history-key-lost', query: 'fake=key-lost', to: async (page) => { await page.keyboard.press('2'); await page.locator('details summary').click() } },
  { name: 'history-key-use', query: 'fake=key-lost', to: async (page) => { await page.keyboard.press('2'); await page.locator('details summary').click(); await page.getByRole('button', { name: /^(Use the recovery key|Wiederherstellungsschlüssel verwenden)/ }).click() } },
  { name: 'history-key-changed', query: 'fake=key-changed', to: key('2') },
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
  { name: 'lead-mine', query: 'fake=lead' },
  { name: 'lead-company', query: 'fake=lead', to: company },
  { name: 'lead-end', query: 'fake=lead', to: async (page) => { await company(page); await page.getByRole('button', { name: /(End|Beenden): Lea/ }).click() } },
  { name: 'limit-company', query: 'fake=companyfull', to: full },
  { name: 'limit-lead', query: 'fake=lead', to: async (page) => { await page.evaluate(() => window.daypassFake.change((s) => { s.limits.company.used = 5; s.limits.mine.used = 0; s.sessions = s.sessions.filter((x) => !x.mine && !x.elsewhere) })); await page.keyboard.press('n') } },
  { name: 'session-restartable', query: 'fake=restartable', to: key('o') },
  { name: 'session-asleep', query: 'fake=asleep', to: key('o') },
  { name: 'session-rights', query: 'fake=rights', to: key('o') },
  { name: 'session-grantsnone', query: 'fake=grantsnone', to: key('o') },
  { name: 'session-restart-refused', query: 'fake=rebootrefused', to: key('o') },
  { name: 'session-ended', query: 'fake=ended', to: async (page) => { await page.getByRole('button', { name: 'Jonas Kim' }).first().click() } },
  { name: 'session-gone', query: 'fake=active', to: async (page) => { await page.keyboard.press('o'); await page.evaluate(() => window.daypassFake.change((s) => { s.sessions = [] })) } },
  { name: 'relay', query: 'fake=relay', to: key('o') },
  { name: 'mail-sending', query: 'fake=mailsending', to: key('o') },
  { name: 'mail-unknown', query: 'fake=mailunknown', to: key('o') },
  { name: 'mail-none', query: 'fake=mailnone', to: key('o') },
  { name: 'lapsed', query: 'fake=lapsed' },
  { name: 'takeover', query: 'fake=takeover', to: key('o') },
  { name: 'takeover-paste', query: 'fake=empty', to: async (page) => { await page.keyboard.press('n'); await page.getByRole('button', { name: /link from an earlier|Link aus einer früheren/ }).click() } },
  { name: 'ending', query: 'fake=ending' },
  { name: 'unclean', query: 'fake=unclean' },
  { name: 'ended-byothers', query: 'fake=byothers' },
  { name: 'unconfirmed', query: 'fake=unconfirmed' },
  { name: 'unreachable', query: 'fake=unreachable' },
  { name: 'history-fails', query: 'fake=many', to: async (page) => { await page.evaluate(() => window.daypassFake.failures.set('history.list', { kind: 'storage', message: 'Your sessions could not be stored or read.', hint: 'If it happens again, send us the details.', details: 'SQLITE_IOERR (10)' })); await page.keyboard.press('2'); await page.getByRole('alert').waitFor() } },
  { name: 'history-loading', query: 'fake=many&delay=8000', to: key('2') },
  { name: 'team-loading', query: 'fake=team&delay=8000', to: key('3') },
  { name: 'team-fails', query: 'fake=team', to: async (page) => { await page.evaluate(() => window.daypassFake.failures.set('team.people', { kind: 'offline', message: 'The server cannot be reached.', hint: 'Check your connection; Daypass keeps trying.', details: 'dial tcp' })); await page.keyboard.press('3'); await page.getByRole('alert').waitFor() } },
  { name: 'team-none', query: 'fake=team', to: async (page) => { await team()(page); await page.keyboard.press('/'); await page.keyboard.type('zzz') } },
  { name: 'team-totp-reset', query: 'fake=team', to: team('Karl Winter', /^(Reset second step|Zweiten Schritt zurücksetzen)/) },
  { name: 'team-reset', query: 'fake=team', to: team('Tom Brandt', /^(Reset password|Passwort zurücksetzen)/) },
  { name: 'team-takeback', query: 'fake=team', to: team(/^(Take back|Zurückziehen)$/) },
  { name: 'team-self', query: 'fake=team', to: team('Mia Roth') },
  { name: 'team-audit-none', query: 'fake=team', to: async (page) => { await tab(2)(page); await page.evaluate(() => { window.daypassFake.crew.audit = [] }); await page.locator('label').filter({ hasText: /^\s*(History|Verlauf)\s*$/ }).first().click(); await page.getByRole('heading', { level: 2 }).waitFor() } },
  { name: 'account-off', query: 'fake=team', to: async (page) => { await section(0)(page); await page.getByRole('button', { name: /New recovery codes|Neue Wiederherstellungscodes/ }).click() } },
  { name: 'settings-lan', query: 'fake=lan', to: section(3) },
  { name: 'settings-offline', query: 'fake=offline', to: section(3) },
  { name: 'signin-wrong', query: 'fake=signin', to: async (page) => { await page.locator('input[type=email]').fill('mia@contoso.example'); await page.locator('input[type=password]').fill('wrong'); await page.keyboard.press('Enter'); await page.getByRole('alert').waitFor() } },
  { name: 'unlock-wrong', query: 'fake=unlock', to: async (page) => { await page.locator('input[type=password]').fill('wrong'); await page.keyboard.press('Enter'); await page.getByRole('alert').waitFor() } },
  { name: 'session-entitled', query: 'fake=technician', to: key('o') },
  { name: 'team', query: 'fake=team', to: team() },
  { name: 'team-lead', query: 'fake=lead', to: team('Tom Brandt') },
  { name: 'team-alone', query: 'fake=alone', to: team() },
  { name: 'team-person', query: 'fake=team', to: team('Tom Brandt') },
  { name: 'team-changed', query: 'fake=team', to: async (page) => { await team('Tom Brandt')(page); await page.getByRole('checkbox', { name: 'Lead', exact: true }).click() } },
  { name: 'team-disable', query: 'fake=team', to: team('Tom Brandt', /^(Deactivate|Abschalten)$/) },
  { name: 'team-invite', query: 'fake=team', to: team(/Invite a colleague|Jemanden einladen/) },
  { name: 'team-passon', query: 'fake=team', to: team(/^(New link|Neuer Link)/) },
  { name: 'team-policy', query: 'fake=team', to: tab(1) },
  { name: 'team-policy-mail', query: 'fake=team', to: async (page) => { await tab(1)(page); await page.getByRole('radio').nth(1).check(); await page.keyboard.press('Enter') } },
  { name: 'team-audit', query: 'fake=team', to: async (page) => { await tab(2)(page); await page.getByRole('button', { name: /^(Verify|Prüfen)$/ }).click() } },
  { name: 'account', query: 'fake=team', to: section(0) },
  { name: 'account-technician', query: 'fake=technician', to: section(0) },
  { name: 'account-password', query: 'fake=team', to: async (page) => { await section(0)(page); await page.getByRole('button', { name: /Change password|Passwort ändern/ }).click() } },
  { name: 'settings-profile', query: 'fake=many', to: section(0) },
  { name: 'settings-mail', query: 'fake=many', to: section(1) },
  { name: 'settings-mail-none', query: 'fake=many', to: async (page) => { await section(1)(page); await page.locator('label').filter({ hasText: /^\s*(None|Keine)\s*$/ }).first().click() } },
  { name: 'settings-mail-failed', query: 'fake=many', to: async (page) => { await section(1)(page); await page.evaluate(() => globalThis.daypassFake.failures.set('mail.test', { kind: 'signed_out', message: 'The mail server does not take the user name and password.', hint: 'Check them in Settings, Mail. Some providers want an app password.', details: '535 5.7.8 Error: authentication failed', op: 'mail.send' })); await page.getByRole('button', { name: /Send test|Test senden/ }).click(); await page.getByRole('alert').waitFor() } },
  { name: 'settings-appearance', query: 'fake=many', to: section(2) },
  { name: 'settings-server', query: 'fake=many', to: section(3) },
  { name: 'settings-doctor', query: 'fake=many', to: async (page) => { await section(4)(page); await page.getByRole('button', { name: /Check now|Jetzt prüfen/ }).click() } },
  { name: 'settings-about', query: 'fake=many', to: section(5) },
]
