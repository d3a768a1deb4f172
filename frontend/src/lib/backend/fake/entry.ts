// Stands where lib/backend/real.ts stands in the product: chosen by the alias in vite.config.ts in mode "fake" and in tests.
import type { Native } from '../backend'
import { FakeBackend } from './fake'
import { fakeViewer } from './viewer'

export function createNative(): Native {
  const q = new URLSearchParams(location.search)
  const backend = new FakeBackend({ scenario: q.get('fake') ?? 'empty', customer: Number(q.get('customer') ?? 0), delay: Number(q.get('delay') ?? 0), late: Number(q.get('late') ?? 0) })
  const theme = q.get('theme')
  const language = q.get('lang')
  backend.change((s) => {
    if (theme === 'light' || theme === 'dark') s.settings.appearance = theme
    if (language === 'de') s.settings.language = 'de'
    if (q.get('mail') === 'server') s.mail = { configured: false, byServer: true }
    if (q.get('mail') === 'none') s.mail = { configured: false }
  })
  Object.assign(window, { daypassFake: backend })
  return { backend, openViewer: fakeViewer }
}
