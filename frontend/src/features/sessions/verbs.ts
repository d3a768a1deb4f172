import { t } from '$lib/i18n/index.svelte'
import type { Session } from '$lib/backend/backend'
import type { App } from '$lib/state/app.svelte'
import type { Command } from '$lib/state/commands.svelte'
import { isOver, mustChoose, who } from '$lib/ui/status'

/** Everything that can be done with a session now, each with its key. The native side says what is allowed; nothing is guessed. */
export function sessionVerbs(app: App, s: Session): { id: string; label: string; short?: string; key?: string; danger?: boolean; main?: boolean; run: () => void }[] {
  const { verbs } = s
  const list: ReturnType<typeof sessionVerbs> = []
  if (verbs.remote) list.push({ id: 'remote', label: t().verbs.remote, key: 'r', main: true, run: () => app.remote(s) })
  if (verbs.showCode) list.push({ id: 'code', label: t().verbs.showCode, key: 'c', main: true, run: () => app.go({ name: 'new', id: s.id }) })
  else if (verbs.newCode)
    list.push({
      id: 'newcode',
      label: t().verbs.newCode,
      key: 'c',
      main: true,
      run: () => {
        app.go({ name: 'new', id: s.id })
        void app.newCode(s)
      },
    })
  if (s.mine && mustChoose(s))
    list.push({ id: 'choose', label: t().state.choose, key: 'c', main: true, run: () => app.go({ name: 'new', id: s.id }) })
  if (s.link && s.mine) list.push({ id: 'link', label: t().verbs.copyLink, key: 'l', main: s.state === 'invited', run: () => void app.copyLink(s) })
  if (verbs.resend) list.push({ id: 'resend', label: s.mail.state === 'none' ? t().verbs.sendMail : t().verbs.resend, key: 'm', run: () => void app.resend(s) })
  if (verbs.correct) list.push({ id: 'correct', label: t().verbs.correct, key: 'a', run: () => (app.correcting = s.id) })
  if (s.mine && s.activatedAt) list.push({ id: 'timeline', label: t().verbs.timeline, key: 't', run: () => app.go(isOver(s) ? { name: 'history', id: s.id } : { name: 'session', id: s.id, tab: 'timeline' }) })
  if (verbs.again) list.push({ id: 'again', label: t().verbs.again, short: t().verbs.againShort, key: 'w', main: true, run: () => app.go({ name: 'new', like: s.id }) })
  if (verbs.putAway) list.push({ id: 'away', label: t().verbs.putAway, key: 'p', main: true, run: () => void app.putAway(s) })
  if (verbs.reboot) list.push({ id: 'reboot', label: t().reboot.verb, key: 'w', run: () => (app.rebooting = s.id) })
  if (verbs.cancel) list.push({ id: 'cancel', label: t().verbs.cancel, key: 'x', danger: true, main: true, run: () => (app.cancelling = s.id) })
  if (verbs.end) list.push({ id: 'end', label: t().verbs.end, key: 'e', danger: true, run: () => (s.mine ? (app.ending = s.id) : (app.endingOf = s)) })
  return list
}

export function sessionCommands(app: App, s: Session): Command[] {
  return [
    ...(isOver(s) ? [] : [{ id: `open-verb-${s.id}`, label: t().verbs.open, of: who(s), key: 'o', group: 'here' as const, run: () => openSession(app, s) }]),
    ...sessionVerbs(app, s).map((v) => ({ id: `verb-${v.id}-${s.id}`, label: v.label, of: who(s), key: v.key, group: 'here' as const, run: v.run })),
  ]
}

export function openSession(app: App, s: Session): void {
  if (!s.mine) return
  if (isOver(s)) app.go({ name: 'history', id: s.id })
  else if (s.state === 'active' || s.state === 'ending') app.go({ name: 'session', id: s.id, tab: 'control' })
  else app.go({ name: 'new', id: s.id })
}
