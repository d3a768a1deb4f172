// The history as a person uses it: searched, filtered, noted, tagged, exported over the system's own dialog.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import path from 'node:path'

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Types into the dialog on top of the console's display, as a person would. */
async function choose(title, file) {
  const env = { ...process.env, DISPLAY: process.env.DAYPASS_DISPLAY }
  const hand = (...args) => execFileSync('xdotool', args, { env }).toString()
  for (let i = 0; ; i++) {
    try {
      hand('search', '--onlyvisible', '--name', title)
      break
    } catch {
      assert.ok(i < 100, `no dialog "${title}" came up`)
      await pause(200)
    }
  }
  hand('search', '--onlyvisible', '--name', title, 'windowactivate', '--sync')
  hand('key', 'ctrl+a')
  // The first stroke opens the field for a path where there is none yet; what comes while it opens would be lost.
  hand('type', file.slice(0, 1))
  await pause(1000)
  hand('type', '--delay', '25', file.slice(1))
  await pause(200)
  hand('key', 'Return')
}

export async function history({ page, step, button, goTo }) {
  const panel = page.getByRole('complementary', { name: 'Timeline of the session' })
  const rows = page.locator('[data-row] button')
  await step('the history is searched as one types, and says when nothing matches', async () => {
    await goTo(/^History/)
    await rows.first().waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('zzyzx')
    await page.getByText('No session matches').waitFor()
    await page.keyboard.press('Escape')
    await rows.first().waitFor()
  })
  await step('a session is opened, noted and tagged; both are found', async () => {
    await rows.first().click()
    await panel.getByText('Signed by the console alone').waitFor()
    await panel.getByLabel('Your note').fill('Waits for a spare fuser')
    await panel.getByText(/^Kept/).waitFor()
    await panel.getByRole('button', { name: 'Add a tag' }).click()
    await page.keyboard.type('follow up')
    await page.keyboard.press('Enter')
    await panel.getByRole('button', { name: 'Remove the tag follow up' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('/')
    await page.keyboard.type('fuser follow')
    await page.getByText('1 session', { exact: true }).waitFor()
    await page.keyboard.press('Escape')
  })
  await step('a filter is a chip that can be taken away', async () => {
    await button('Tag', { exact: true }).click()
    await page.getByRole('menuitemcheckbox', { name: /^follow up/ }).click()
    await page.getByText('1 session', { exact: true }).waitFor()
    await button('State', { exact: true }).click()
    await page.getByRole('menuitemcheckbox', { name: 'Removal not confirmed' }).click()
    await page.getByText('No session matches').waitFor()
    await button('Remove the filter Removal not confirmed').click()
    await button('Remove the filter #follow up').click()
    await rows.first().waitFor()
  })
  if (!process.env.DAYPASS_DISPLAY) return
  const file = path.join(process.env.DAYPASS_EXPORTS, 'history.json')
  await step('the list is exported to a file that the person chooses', async () => {
    await button('Export', { exact: true }).click()
    await page.getByRole('menuitem', { name: 'JSON with all signatures' }).click()
    await choose('Save the history as', file)
    await page.getByText(/saved as/).waitFor()
    const doc = JSON.parse(readFileSync(file, 'utf8'))
    assert.equal(doc.format, 'daypass history')
    assert.ok(doc.sessions.some((s) => s.notes.some((n) => n.text === 'Waits for a spare fuser') && s.tags.includes('follow up')))
    assert.ok(doc.sessions.every((s) => s.entries.length > 0 && s.entries.every((e) => e.signatures.length > 0)))
    assert.equal(statSync(file).mode & 0o077, 0, 'others can read the export')
  })
  await step('a file that is no receipt is refused in words', async () => {
    await button('Export', { exact: true }).click()
    await page.getByRole('menuitem', { name: 'Check a receipt…' }).click()
    await choose('Choose the receipt', file)
    await page.getByText('This is not a receipt of Daypass, or it was changed.').waitFor()
  })
}
