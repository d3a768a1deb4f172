import { flushSync, mount, unmount } from 'svelte'
import { afterEach, describe, expect, it, vi } from 'vitest'
import App from './App.svelte'
import { FakeBackend } from './lib/backend/fake/fake'
import { active } from './lib/backend/fake/scenarios'
import { fakeViewer } from './lib/backend/fake/viewer'

let app: Record<string, unknown> | undefined
afterEach(async () => {
  if (app) await unmount(app)
  document.body.replaceChildren()
})

function start(scenario: string): FakeBackend {
  const backend = new FakeBackend({ scenario })
  app = mount(App, { target: document.body, props: { native: { backend, openViewer: fakeViewer } } })
  flushSync()
  return backend
}
const text = (): string => document.body.textContent ?? ''
const press = (key: string): void => {
  document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
  flushSync()
}

describe('the page', () => {
  it('shows what the snapshot says and follows it', () => {
    const backend = start('invited')
    expect(text()).toContain('Waiting for the customer')
    backend.edit('a', (s) => Object.assign(s, active({ id: 'a' })))
    flushSync()
    expect(text()).toContain('Online')
    expect(text()).toContain('18 h 0')
    backend.change((s) => (s.settings.language = 'de'))
    flushSync()
    expect(text()).toContain('Fernsteuerung')
    expect(document.documentElement.lang).toBe('de')
  })
  it('shows text from the other computer as text', () => {
    const backend = start('active')
    const evil = '<img src=x onerror="window.pwned=1"><b>PC</b>'
    backend.edit('a', (s) => {
      s.host!.computer = evil
      s.customer.name = evil
    })
    flushSync()
    expect(text()).toContain(evil)
    expect(document.querySelector('img')).toBeNull()
    press('o')
    expect(text()).toContain(evil)
    expect(document.querySelector('img')).toBeNull()
  })
  it('names what it destroys and does it only when confirmed', async () => {
    const backend = start('active')
    press('e')
    expect(text()).toContain('End the session with Anna Weber?')
    expect(text()).toContain('removed from PC-ANNA')
    expect(backend.calls).not.toContain('sessions.end a')
    document.querySelector<HTMLButtonElement>('dialog .danger')?.click()
    await Promise.resolve()
    expect(backend.calls).toContain('sessions.end a')
  })
  it('goes on with a session by the link of an earlier mail', async () => {
    const backend = start('empty')
    press('n')
    const button = (word: string): HTMLButtonElement | undefined => [...document.querySelectorAll('button')].find((b) => b.textContent?.trim() === word)
    button('I have a link from an earlier mail')?.click()
    flushSync()
    const field = [...document.querySelectorAll('input')].at(-1)
    if (!field) throw new Error('no field for the link')
    field.value = 'https://help.example.com/s/0123#SECRET'
    field.dispatchEvent(new Event('input', { bubbles: true }))
    flushSync()
    button('Go on with it')?.click()
    await vi.waitFor(() => expect(text()).toContain('Waiting for the customer’s computer'))
    expect(backend.calls.some((c) => c.startsWith('sessions.takeOver'))).toBe(true)
    expect(text()).not.toContain('SECRET')
  })
  it('offers only the verbs that the native side allows', () => {
    const backend = start('offline')
    expect([...document.querySelectorAll('button')].some((b) => b.textContent?.includes('Remote Control'))).toBe(true)
    backend.edit('a', (s) => (s.verbs = { ...s.verbs, remote: false, end: false }))
    flushSync()
    press('e')
    expect([...document.querySelectorAll('button')].some((b) => b.textContent?.includes('Remote Control'))).toBe(false)
    expect(document.querySelector('dialog[open]')).toBeNull()
  })
  it('opens the picture bare when the lab asks', async () => {
    const backend = start('bare')
    await new Promise((resolve) => setTimeout(resolve))
    expect(backend.calls).toContain('remote.open a')
    expect(document.querySelector('aside, [role=toolbar]')).toBeNull()
    expect(document.querySelector('canvas')).not.toBeNull()
  })
})
