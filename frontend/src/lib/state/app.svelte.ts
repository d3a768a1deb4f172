import { getContext, setContext } from 'svelte'
import { type Fault, type Native, type Session, type Snapshot, toFault } from '../backend/backend'
import { i18n, t } from '../i18n/index.svelte'
import { Commands } from './commands.svelte'

export type Route =
  | { name: 'sessions' }
  | { name: 'new'; id?: string; like?: string }
  | { name: 'session'; id: string; tab: 'control' | 'timeline' }
  | { name: 'remote'; id: string; viewOnly: boolean; bare?: boolean }
  | { name: 'history'; id?: string }
  | { name: 'team'; tab: 'people' | 'policy' | 'audit'; id?: string }
  | { name: 'settings'; section: string }

export interface Toast {
  id: number
  text: string
  fault?: Fault
}

const isOver = (s: Session): boolean => s.state === 'ended' || s.state === 'removed' || s.state === 'unconfirmed'

/** What the whole page shares: the snapshot as it came, the clock, where we are, what is open. It computes no state of a session. */
export class App {
  snapshot = $state.raw<Snapshot | undefined>()
  now = $state(Date.now())
  route = $state.raw<Route>({ name: 'sessions' })
  toasts = $state.raw<Toast[]>([])
  palette = $state(false)
  help = $state(false)
  /** The session to confirm the end or the cancelling of. */
  ending = $state<string | undefined>()
  /** The session whose computer is about to be asked to restart. */
  rebooting = $state<string | undefined>()
  cancelling = $state<string | undefined>()
  correcting = $state<string | undefined>()
  /** The session of a colleague, or of another console, to confirm the end of. */
  endingOf = $state.raw<Session | undefined>()
  /** A lead looks at the sessions of the whole company. */
  company = $state(false)
  /** The remote picture has the keyboard: the console's own keys rest. */
  captured = $state(false)
  readonly commands = new Commands()
  readonly backend
  readonly openViewer
  #toast = 0
  #opened: string | undefined

  constructor(native: Native) {
    this.backend = native.backend
    this.openViewer = native.openViewer
  }

  /** Follows the native side and the clock until the returned function is called. */
  start(): () => void {
    const stop = this.backend.subscribe((snapshot) => this.take(snapshot))
    const clock = setInterval(() => (this.now = Date.now()), 1000)
    return () => {
      stop()
      clearInterval(clock)
    }
  }

  take(snapshot: Snapshot): void {
    this.snapshot = snapshot
    this.now = Date.now()
    i18n.language = snapshot.settings.language === 'de' ? 'de' : 'en'
    const open = snapshot.ui?.open
    if (open && this.#opened !== open.session) {
      this.#opened = open.session
      this.route = { name: 'remote', id: open.session, viewOnly: false, bare: open.bare }
    }
  }

  /** The time by which sessions end: the server's, where the clock of this computer is wrong. */
  get time(): number {
    return this.now + (this.snapshot?.clock ?? 0)
  }

  session(id: string | undefined): Session | undefined {
    return this.snapshot?.sessions.find((s) => s.id === id)
  }

  /** Leads and admins of a company with a server of its own have a team to look at. */
  get team(): boolean {
    const p = this.snapshot?.profile
    return p !== undefined && this.snapshot?.server.kind === 'remote' && (p.roles.includes('lead') || p.roles.includes('admin'))
  }

  get lead(): boolean {
    return this.team && (this.snapshot?.profile?.roles.includes('lead') ?? false)
  }

  get live(): Session[] {
    return this.snapshot?.sessions.filter((s) => !isOver(s)) ?? []
  }

  get over(): Session[] {
    return this.snapshot?.sessions.filter(isOver) ?? []
  }

  go(route: Route): void {
    this.palette = false
    this.help = false
    this.route = route
  }

  /** Does what a button says; what goes wrong is shown in three parts. Resolves to whether it went well. */
  async run(action: () => Promise<unknown>, done?: string): Promise<boolean> {
    try {
      await action()
      if (done) this.say(done)
      return true
    } catch (thrown) {
      this.fail(toFault(thrown))
      return false
    }
  }

  say(text: string): void {
    const id = ++this.#toast
    this.toasts = [...this.toasts.filter((x) => x.fault), { id, text }]
    setTimeout(() => this.dismiss(id), 4000)
  }

  fail(fault: Fault): void {
    const id = ++this.#toast
    this.toasts = [...this.toasts.slice(-2), { id, text: fault.message || t().common.internal, fault }]
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((x) => x.id !== id)
  }

  // what more than one page offers
  copyLink = (s: Session): Promise<boolean> => this.run(() => this.backend.sessions.copyLink(s.id), t().mail.copied)
  resend = (s: Session): Promise<boolean> => this.run(() => this.backend.sessions.resend(s.id))
  putAway = (s: Session): Promise<boolean> => this.run(() => this.backend.sessions.putAway(s.id))
  newCode = (s: Session): Promise<boolean> => this.run(() => this.backend.sessions.newCode(s.id))
  remote = (s: Session, viewOnly = false): void => this.go({ name: 'remote', id: s.id, viewOnly })
}

const KEY = Symbol('app')

export const provideApp = (app: App): App => setContext(KEY, app)
export const useApp = (): App => getContext<App>(KEY)
