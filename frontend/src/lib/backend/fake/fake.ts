// A scripted native side: it answers as the real one would, remembers what it was asked, and plays the customer.
import { type AuditQuery, type Backend, BackendError, type Fault, type Invitee, type OneTime, type PersonForm, type Person, type Policy, type Proof, type Session, type Snapshot } from '../backend'
import { type Crew, crew, enrolment, person, recoveryCodes } from './people'
import { fakeHistory } from './history'
import { active, code, fault, scenarios, session } from './scenarios'

const letter = (german: boolean, hello: string, note: string): string =>
  `<!doctype html><html><body style="font:16px/24px sans-serif;margin:0;padding:32px;background:#fff;color:#1a1c20"><p>${hello}</p><p>${note.replace(/[&<>]/g, '')}</p><p><b>${german ? 'So läuft es ab' : 'This is what happens'}</b></p></body></html>`

export interface FakeOptions {
  scenario: string
  /** How long the customer takes for each of their steps, in ms; 0 = never. */
  customer?: number
  /** The first state comes after this many ms, as from the real native side; at once without. */
  late?: number
  /** How long an answer takes, in ms. */
  delay?: number
}

export class FakeBackend implements Backend {
  snapshot: Snapshot
  /** What was asked, in order: "sessions.create", "remote.chord ctrl-alt-del"... */
  readonly calls: string[] = []
  /** The next call of this name fails with this. */
  readonly failures = new Map<string, Fault>()
  clipboard = ''
  #listeners = new Set<(s: Snapshot) => void>()
  #mail = { host: 'smtp.contoso.example', port: 587, security: 'starttls' as const, user: 'mia.roth', from: 'mia.roth@contoso.example', hasPassword: true }

  readonly crew: Crew
  #oneTime: OneTime | undefined

  constructor(readonly options: FakeOptions) {
    this.snapshot = (scenarios[options.scenario] ?? scenarios.empty!)()
    this.crew = crew(this.snapshot.profile?.id ?? 'p1')
    if (options.scenario === 'alone') Object.assign(this.crew, { people: this.crew.people.filter((p) => p.self), invitations: [] })
  }

  subscribe(listener: (snapshot: Snapshot) => void): () => void {
    this.#listeners.add(listener)
    if (this.options.late) setTimeout(() => listener(structuredClone(this.snapshot)), this.options.late)
    else listener(structuredClone(this.snapshot))
    return () => this.#listeners.delete(listener)
  }

  /** Changes the state as the native side would, and tells the page. */
  change(what: (s: Snapshot) => void): void {
    what(this.snapshot)
    this.snapshot.rev++
    for (const listener of this.#listeners) listener(structuredClone(this.snapshot))
  }

  find(id: string): Session {
    const found = this.snapshot.sessions.find((s) => s.id === id)
    if (!found) throw new BackendError(fault('not_found', 'This session does not exist any more.', '', id))
    return found
  }

  edit(id: string, what: (s: Session) => void): void {
    this.find(id)
    this.change(() => what(this.find(id)))
  }

  async #ask<T>(name: string, args: string, answer: () => T): Promise<T> {
    this.calls.push(args ? `${name} ${args}` : name)
    if (this.options.delay) await new Promise((resolve) => setTimeout(resolve, this.options.delay))
    const failure = this.failures.get(name)
    if (failure) {
      this.failures.delete(name)
      throw new BackendError(failure)
    }
    return answer()
  }

  /** The customer opens the link, starts the program, and types the code. */
  #customer(id: string): void {
    const pace = this.options.customer
    if (!pace) return
    setTimeout(() => {
      if (!this.snapshot.sessions.some((s) => s.id === id && s.state === 'invited')) return
      this.edit(id, (s) => {
        s.state = 'answered'
        s.waiting = [{ instance: 'i1', computer: 'PC-ANNA', os: 'Debian 12', user: 'anna', timeZone: 'Europe/Vienna', since: Date.now(), chosen: true }]
        s.code = code({ expiresAt: Date.now() + 600_000 })
        s.verbs = { ...s.verbs, resend: false, showCode: true }
      })
      setTimeout(() => {
        if (!this.snapshot.sessions.some((s) => s.id === id && s.state === 'answered')) return
        this.edit(id, (s) => {
          const now = Date.now()
          Object.assign(s, active({ ...s, state: 'active', presence: 'online', presenceSince: now, activatedAt: now, expiresAt: now + 86_400_000, code: undefined, waiting: [], link: undefined, verbs: active().verbs }))
        })
      }, pace * 2)
    }, pace)
  }

  #recount(s: Snapshot): void {
    const live = s.sessions.filter((x) => !['ended', 'removed', 'unconfirmed'].includes(x.state))
    s.limits.mine.used = live.filter((x) => x.mine).length
    s.limits.company.used = Math.max(live.length, s.limits.mine.used)
  }

  #end(id: string, by: string): void {
    this.edit(id, (s) => {
      s.state = by === 'cancel' ? 'ended' : 'ending'
      s.endedAt = Date.now()
      s.endedBy = by
      s.code = undefined
      s.verbs = { cancel: false, resend: false, correct: false, showCode: false, newCode: false, remote: false, end: false, putAway: by === 'cancel', again: by === 'cancel' }
      if (by !== 'cancel') s.removal = { state: 'pending', lines: [] }
    })
    this.change((s) => this.#recount(s))
    if (by !== 'cancel')
      setTimeout(() => {
        this.edit(id, (s) => {
          s.state = 'removed'
          s.removal = { state: 'clean', lines: ['Program file removed', 'State directory removed', 'Nothing else was changed'] }
          s.verbs.putAway = true
          s.verbs.again = true
        })
        this.change((s) => this.#recount(s))
      }, 400)
  }

  shell = {
    quit: () => this.#ask('shell.quit', '', () => undefined),
    fullscreen: (on: boolean) => this.#ask('shell.fullscreen', String(on), () => undefined),
    copyText: (text: string) =>
      this.#ask('shell.copyText', '', () => {
        this.clipboard = text
      }),
    about: () =>
      this.#ask('shell.about', '', () => ({
        version: '0.2.0',
        logPath: '/home/mia/.config/daypass/log',
        licences: [
          { name: 'pion/webrtc', version: 'v4.2.20', licence: 'MIT' },
          { name: 'svelte', version: '5.57.3', licence: 'MIT' },
          { name: 'wails', version: 'v2.16.0', licence: 'MIT' },
          { name: 'mattn/go-sqlite3', version: 'v1.14', licence: 'MIT' },
          { name: 'lucide', version: '1.48.0', licence: 'ISC' },
        ],
      })),
    doctor: () =>
      this.#ask('shell.doctor', '', () => [
        { name: 'Signaling server', ok: true, detail: 'http://127.0.0.1:8427', hint: '' },
        { name: 'Secrets', ok: true, detail: 'Sealed; the key is in the keyring of this computer.', hint: '' },
        { name: 'Mail', ok: false, detail: '', hint: 'Set up a mail server in Settings, or send links yourself.' },
        { name: "Customers' programs", ok: true, detail: 'daypass-host-linux-amd64, daypass-host-linux-arm64', hint: '' },
        { name: 'Network', ok: true, detail: '192.168.1.24 (wlan0), 10.0.4.7 (eth0)', hint: '' },
        { name: 'Graphics', ok: true, detail: 'none; the page is painted without it', hint: '' },
      ]),
    setAppearance: (appearance: Snapshot['settings']['appearance']) => this.#ask('shell.setAppearance', appearance, () => this.change((s) => (s.settings.appearance = appearance))),
    setLanguage: (language: Snapshot['settings']['language']) => this.#ask('shell.setLanguage', language, () => this.change((s) => (s.settings.language = language))),
    dismissNotice: (id: string) => this.#ask('shell.dismissNotice', id, () => this.change((s) => (s.notices = s.notices.filter((x) => x.id !== id)))),
  }

  setup = {
    useThisComputer: () => this.#ask('setup.useThisComputer', '', () => this.#ready('embedded', 'http://127.0.0.1:8427')),
    useServer: (url: string) =>
      this.#ask('setup.useServer', url, () =>
        this.change((s) => {
          s.phase = 'signin'
          s.server.kind = 'remote'
          s.server.url = url
        }),
      ),
    signIn: (form: { email: string; password: string; totp: string }) =>
      this.#ask('setup.signIn', form.email, () => {
        if (form.password === 'wrong') throw new BackendError(fault('denied', 'Address or password is wrong.', 'Check both and try again.', '401'))
        if (form.totp === '000000') throw new BackendError(fault('signed_out', 'This one-time code is wrong or was used already.', 'Type the one that your authenticator shows next, or a recovery code.'))
        if (form.email.startsWith('lead') && !form.totp) return { next: 'code' as const }
        if (form.email.startsWith('fresh')) this.change((s) => (s.phase = 'enrol'))
        else this.#ready('remote', this.snapshot.server.url)
        return { next: '' as const }
      }),
    look: (oneTime: string) =>
      this.#ask('setup.look', '', () => {
        if (!/[0-9A-Z-]{20,}/i.test(oneTime)) throw new BackendError(fault('invalid', 'This is not a whole link or code.', 'Copy it from the message you got, with everything behind the # sign.'))
        const reset = /RESET/i.test(oneTime)
        this.change((s) => (s.server = { ...s.server, kind: 'remote', url: 'https://help.contoso.example', online: true }))
        return { company: 'Contoso IT', email: 'ben.fischer@contoso.example', name: 'Ben Fischer', roles: ['technician' as const], reset, totp: reset, expiresAt: Date.now() + 163 * 3_600_000 }
      }),
    join: (form: { name: string; password: string; totp: string }) => this.#ask('setup.join', form.name, () => this.#ready('remote', this.snapshot.server.url)),
    leave: () => this.#ask('setup.leave', '', () => this.change((s) => (s.phase = 'signin'))),
    signOut: () =>
      this.#ask('setup.signOut', '', () =>
        this.change((s) => {
          s.phase = s.server.kind === 'remote' ? 'signin' : 'welcome'
          s.profile = undefined
        }),
      ),
    unlock: (passphrase: string) =>
      this.#ask('setup.unlock', '', () => {
        if (passphrase === 'wrong') throw new BackendError(fault('denied', 'That is not the passphrase.', 'If it is lost, go on without keeping anything and sign in anew.'))
        this.#ready('embedded', 'http://127.0.0.1:8427')
      }),
    setPassphrase: (passphrase: string) => this.#ask('setup.setPassphrase', String(passphrase.length), () => this.#ready('embedded', 'http://127.0.0.1:8427')),
    useMemory: () => this.#ask('setup.useMemory', '', () => this.#ready('embedded', 'http://127.0.0.1:8427')),
    setLAN: (on: boolean, address: string) =>
      this.#ask('setup.setLAN', `${on} ${address}`, () =>
        this.change((s) => {
          s.server.lan = on
          s.server.insecure = on
          s.server.lanAddress = on ? address : undefined
          s.server.url = on ? `http://${address}:8427` : 'http://127.0.0.1:8427'
        }),
      ),
  }

  #ready(kind: 'embedded' | 'remote', url: string): void {
    this.change((s) => {
      const ready = scenarios.empty!()
      s.phase = 'ready'
      s.profile = ready.profile
      s.server = { ...ready.server, kind, url }
      if (!s.vault.kind) s.vault = { kind: 'memory', sealed: false }
    })
  }

  sessions = {
    preview: (to: Invitee) =>
      this.#ask('sessions.preview', '', () => {
        const german = to.language === 'de'
        const hello = german ? `Guten Tag${to.name ? ` ${to.name}` : ''},` : `Hello${to.name ? ` ${to.name}` : ''},`
        const about = to.subject ? (german ? ` (${to.subject})` : ` (${to.subject})`) : ''
        return german
          ? {
              subject: `Mia Roth von Contoso IT möchte Ihnen helfen${about}`,
              text: `${hello}\n\n${to.note ? `${to.note}\n\n` : ''}Mia Roth von Contoso IT möchte Ihnen an Ihrem Computer helfen${about}.\n\n1. Öffnen Sie diesen Link an dem Computer, der Hilfe braucht:\n   http://127.0.0.1:8427/s/…\n2. Starten Sie das Programm, das er herunterlädt.\n3. Mia Roth nennt Ihnen am Telefon einen Code.\n\nDer Zugang gilt 24 Stunden. Sie können ihn jederzeit beenden.\nSie haben nicht um Hilfe gebeten? Dann löschen Sie diese E-Mail.\n`,
              html: letter(german, hello, to.note ?? ''),
            }
          : {
              subject: `Mia Roth from Contoso IT wants to help you${about}`,
              text: `${hello}\n\n${to.note ? `${to.note}\n\n` : ''}Mia Roth from Contoso IT wants to help you with your computer${about}.\n\n1. Open this link on the computer that needs help:\n   http://127.0.0.1:8427/s/…\n2. Start the program that it downloads.\n3. Mia Roth tells you a code by phone.\n\nThe access lasts 24 hours. You can end it at any time.\nYou did not ask for help? Then please delete this e-mail.\n`,
              html: letter(german, hello, to.note ?? ''),
            }
      }),
    create: (to: Invitee) =>
      this.#ask('sessions.create', to.email, () => {
        const { mine, company } = this.snapshot.limits
        if (mine.used >= mine.max || company.used >= company.max) {
          const holders = this.snapshot.sessions.filter((s) => s.mine).map((s) => ({ id: s.id, label: s.customer.name || s.label, technician: s.technician, state: s.state, since: s.createdAt, mine: true }))
          if (company.used >= company.max) holders.push({ id: 'x', label: 'Lea S.', technician: 'Tom Brandt', state: 'active', since: Date.now() - 3_600_000, mine: false })
          throw new BackendError(fault('limit', 'All places of your company are taken.', 'One of these sessions must end first.', JSON.stringify({ holders })))
        }
        const made = session({ customer: { ...to }, label: to.name || to.email, createdAt: Date.now(), inviteExpiresAt: Date.now() + 86_400_000, mail: { state: 'none' } })
        this.change((s) => {
          s.sessions.unshift(made)
          this.#recount(s)
        })
        this.#customer(made.id)
        return structuredClone(made)
      }),
    sendMail: (id: string) => this.#ask('sessions.sendMail', id, () => this.edit(id, (s) => (s.mail = { state: 'sent', at: Date.now() }))),
    openMailProgram: (id: string) => this.#ask('sessions.openMailProgram', id, () => this.edit(id, (s) => (s.mail = { state: 'opened', at: Date.now() }))),
    copyLink: (id: string) =>
      this.#ask('sessions.copyLink', id, () => {
        this.clipboard = this.find(id).link ?? ''
        this.edit(id, (s) => (s.mail = s.mail.state === 'none' ? { state: 'copied', at: Date.now() } : s.mail))
      }),
    again: (id: string) =>
      this.#ask('sessions.again', id, () => {
        const { email, name, subject, language } = this.snapshot.sessions.find((s) => s.id === id)?.customer ?? { email: 'j.kim@example.org', name: 'Jonas Kim', subject: 'VPN', language: 'en' as const }
        return { email, name, subject, language }
      }),
    correct: (id: string, email: string, name: string) =>
      this.#ask('sessions.correct', `${id} ${email}`, () =>
        this.edit(id, (s) => {
          s.customer.email = email
          s.customer.name = name
        }),
      ),
    resend: (id: string) => this.#ask('sessions.resend', id, () => this.edit(id, (s) => (s.mail = { state: 'sent', at: Date.now() }))),
    cancel: (id: string) => this.#ask('sessions.cancel', id, () => this.#end(id, 'cancel')),
    takeOver: (link: string) =>
      this.#ask('sessions.takeOver', '', () => {
        if (!link.includes('/s/') || !link.includes('#')) throw new BackendError(fault('invalid', 'This is not a whole link from an invitation.', 'Copy it from the mail you sent, with everything behind the # sign.'))
        const made = session({ again: true, customer: { email: '', name: 'Anna Weber', subject: '', language: 'en' }, label: 'Anna Weber', createdAt: Date.now() - 3_600_000, inviteExpiresAt: Date.now() + 72_000_000, mail: { state: 'none' }, link: undefined })
        this.change((s) => {
          s.sessions.unshift(made)
          this.#recount(s)
        })
        return structuredClone(made)
      }),
    choose: (id: string, instance: string) =>
      this.#ask('sessions.choose', `${id} ${instance}`, () =>
        this.edit(id, (s) => {
          for (const w of s.waiting) w.chosen = w.instance === instance
          s.state = 'pairing'
          s.code = code()
        }),
      ),
    newCode: (id: string) =>
      this.#ask('sessions.newCode', id, () =>
        this.edit(id, (s) => {
          s.code = code({ digits: '90214475' })
          s.verbs = { ...s.verbs, showCode: true, newCode: false }
        }),
      ),
    end: (id: string) => this.#ask('sessions.end', id, () => this.#end(id, 'technician')),
    askRight: (id: string, right: string) =>
      this.#ask('sessions.askRight', id, () =>
        this.edit(id, (s) => {
          s.allowed = s.allowed.map((r) => (r.right === right ? { ...r, asked: true } : r))
        }),
      ),
    reboot: (id: string) =>
      this.#ask('sessions.reboot', id, () =>
        this.edit(id, (s) => {
          s.reboot = { state: 'asked', until: Date.now() + 30_000, since: Date.now() }
          s.verbs = { ...s.verbs, reboot: false }
        }),
      ),
    refresh: () => this.#ask('sessions.refresh', '', () => undefined),
    endOf: (id: string) =>
      this.#ask('sessions.endOf', id, () =>
        this.change((s) => {
          s.sessions = s.sessions.filter((x) => x.id !== id)
          s.limits.company.used--
          for (const p of this.crew.people) p.live = p.live.filter((x) => x.id !== id)
        }),
      ),
    putAway: (id: string) => this.#ask('sessions.putAway', id, () => this.change((s) => (s.sessions = s.sessions.filter((x) => x.id !== id)))),
  }

  remote = {
    open: (id: string, viewOnly: boolean) =>
      this.#ask('remote.open', id, () => {
        this.edit(id, (s) => {
          if (s.remote) Object.assign(s.remote, { open: true, viewOnly })
        })
        return { socket: '', path: '', token: '' }
      }),
    close: (id: string) =>
      this.#ask('remote.close', id, () => {
        if (this.snapshot.sessions.some((s) => s.id === id))
          this.edit(id, (s) => {
            if (s.remote) s.remote.open = false
          })
      }),
    selectDisplay: (id: string, display: number) =>
      this.#ask('remote.selectDisplay', `${id} ${display}`, () =>
        this.edit(id, (s) => {
          if (s.remote) s.remote.display = display
        }),
      ),
    setViewOnly: (id: string, on: boolean) =>
      this.#ask('remote.setViewOnly', `${id} ${on}`, () =>
        this.edit(id, (s) => {
          if (s.remote) s.remote.viewOnly = on
        }),
      ),
    chord: (id: string, name: string) => this.#ask('remote.chord', `${id} ${name}`, () => undefined),
    sendClipboard: (id: string) => this.#ask('remote.sendClipboard', id, () => undefined),
    fetchClipboard: (id: string) => this.#ask('remote.fetchClipboard', id, () => undefined),
    stats: (id: string) =>
      this.#ask('remote.stats', id, () => ({
        rttMs: 12.4,
        path: 'direct',
        updatesPerSec: 31,
        kbitPerSec: 1840,
        captureMs: 2.1,
        encodeMs: 3.4,
        networkMs: 6.2,
        decodeMs: 0.8,
        paintMs: 1.1,
        width: 1920,
        height: 1080,
        codec: 'lossless tiles',
        quality: 'exact',
      })),
  }

  mail = {
    get: () => this.#ask('mail.get', '', () => (this.snapshot.mail.configured ? { ...this.#mail } : { host: '', port: 587, security: 'starttls' as const, user: '', from: '', hasPassword: false })),
    save: (settings: { host: string; from: string }, password: string) =>
      this.#ask('mail.save', settings.host, () => {
        Object.assign(this.#mail, settings, { hasPassword: this.#mail.hasPassword || password !== '' })
        this.change((s) => (s.mail = { ...s.mail, configured: settings.host !== '', from: settings.from }))
      }),
    test: async (to: string) => {
      this.change((s) => (s.mail.testing = 'signing_in'))
      try {
        await this.#ask('mail.test', to, () => undefined)
      } finally {
        this.change((s) => (s.mail.testing = undefined))
      }
    },
    stopTest: () => this.#ask('mail.stopTest', '', () => undefined),
  }

  history = fakeHistory((name, args, answer) => this.#ask(name, args, answer), () => this.options.scenario)

  #person(id: string): Person {
    const found = this.crew.people.find((p) => p.id === id)
    if (!found) throw new BackendError(fault('not_found', 'There is no such person.', 'Look at the list again.'))
    return found
  }
  #once(email: string): OneTime {
    this.#oneTime = { id: 'o1', link: 'https://help.contoso.example/join#7QK2M-9XAH4-TC0ZR-DW8NE', code: '7QK2M-9XAH4-TC0ZR-DW8NE', email, expiresAt: Date.now() + 7 * 86_400_000 }
    return this.#oneTime
  }
  #proof(proof: Proof): void {
    if (proof.password === 'wrong') throw new BackendError(fault('denied', 'The password is wrong.', 'Type the password that you sign in with.'))
  }

  team = {
    people: () => this.#ask('team.people', '', () => structuredClone({ people: this.crew.people, invitations: this.crew.invitations })),
    consoles: (id: string) => this.#ask('team.consoles', id, () => structuredClone(this.crew.consoles.get(id) ?? [])),
    invite: (email: string, form: PersonForm) =>
      this.#ask('team.invite', email, () => {
        if (this.crew.people.some((p) => p.email === email)) throw new BackendError(fault('conflict', 'There is an account with this address already.', "Use another address, or reset that person's password."))
        this.crew.invitations.unshift({ id: `i${this.crew.invitations.length + 2}`, email, name: form.name, roles: person('x', 'x', { roles: [...form.roles] as Person['roles'] }).roles, rights: [...form.rights], invitedBy: this.snapshot.profile?.name ?? '', createdAt: Date.now(), expiresAt: Date.now() + 7 * 86_400_000 })
        return this.#once(email)
      }),
    again: (id: string) => this.#ask('team.again', id, () => this.#once(this.crew.invitations.find((i) => i.id === id)?.email ?? '')),
    revokeInvitation: (id: string) => this.#ask('team.revokeInvitation', id, () => void (this.crew.invitations = this.crew.invitations.filter((i) => i.id !== id))),
    change: (id: string, form: PersonForm) => this.#ask('team.change', id, () => void Object.assign(this.#person(id), { name: form.name, roles: [...form.roles], rights: [...form.rights], entitled: [...form.rights] })),
    setDisabled: (id: string, disabled: boolean) =>
      this.#ask('team.setDisabled', `${id} ${disabled}`, () => {
        const p = this.#person(id)
        const ended = disabled ? p.live.length : 0
        p.disabled = disabled
        if (disabled) {
          p.live = []
          p.consoles = 0
          this.crew.consoles.delete(id)
        }
        return ended
      }),
    resetPassword: (id: string) => this.#ask('team.resetPassword', id, () => ((this.#person(id).reset = true), this.#once(this.#person(id).email))),
    resetTOTP: (id: string) => this.#ask('team.resetTOTP', id, () => void (this.#person(id).totp = false)),
    revokeConsole: (id: string, which: string) => this.#ask('team.revokeConsole', `${id} ${which}`, () => this.#revoke(id, which)),
    openMailProgram: (id: string) => this.#ask('team.openMailProgram', id, () => undefined),
    policy: () => this.#ask('team.policy', '', () => structuredClone(this.crew.policy)),
    setPolicy: (policy: Policy) => this.#ask('team.setPolicy', JSON.stringify(policy), () => void (this.crew.policy = structuredClone(policy))),
    audit: (q: AuditQuery) =>
      this.#ask('team.audit', q.kind, () => {
        const all = this.crew.audit.filter((r) => r.kind.startsWith(q.kind) && (!q.before || r.seq < q.before) && (!q.person || r.actor === this.#person(q.person).name || r.person === this.#person(q.person).name))
        return { rows: all.slice(0, 50), next: all.length > 50 ? all[49]!.seq : 0 }
      }),
    verifyAudit: () => this.#ask('team.verifyAudit', '', () => ({ ok: true, entries: 1204, checkpoints: 31, problem: '', at: Date.now() })),
  }

  #revoke(id: string, which: string): number {
    const list = this.crew.consoles.get(id) ?? []
    this.crew.consoles.set(id, list.filter((c) => c.id !== which))
    const p = this.crew.people.find((x) => x.id === id)
    if (p) p.consoles = Math.max(0, p.consoles - 1)
    return list.find((c) => c.id === which)?.sessions ?? 0
  }
  get #me(): string {
    return this.snapshot.profile?.id ?? 'p1'
  }

  account = {
    consoles: () => this.#ask('account.consoles', '', () => structuredClone(this.crew.consoles.get(this.#me) ?? [])),
    changePassword: (old: string, now: string) =>
      this.#ask('account.changePassword', String(now.length), () => this.#proof({ password: old, totp: '' })),
    beginTOTP: (proof: Proof) => this.#ask('account.beginTOTP', '', () => (this.#proof(proof), enrolment())),
    confirmTOTP: (code: string) =>
      this.#ask('account.confirmTOTP', code, () => {
        if (code === '000000') throw new BackendError(fault('denied', 'This code does not fit.', 'Type the code that your authenticator shows now, and check the clock of that device.'))
        this.#person(this.#me).totp = true
        this.change((s) => s.profile && Object.assign(s.profile, { totp: true, recovery: 10 }))
        return recoveryCodes()
      }),
    kept: () => this.#ask('account.kept', '', () => this.change((s) => (s.phase = 'ready'))),
    newRecoveryCodes: (proof: Proof) => this.#ask('account.newRecoveryCodes', '', () => (this.#proof(proof), recoveryCodes())),
    removeTOTP: (proof: Proof) => this.#ask('account.removeTOTP', '', () => (this.#proof(proof), this.change((s) => s.profile && Object.assign(s.profile, { totp: false, recovery: 0 })))),
    revokeConsole: (which: string) => this.#ask('account.revokeConsole', which, () => this.#revoke(this.#me, which)),
  }
}
