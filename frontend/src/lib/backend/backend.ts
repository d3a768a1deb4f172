import type { HistoryBackend } from './history'
import type {
  AboutInfo,
  Appearance,
  AuditPage,
  AuditQuery,
  AuditVerdict,
  Check,
  ConsoleInfo,
  Enrolment,
  Fault,
  Invitee,
  JoinInfo,
  Language,
  MailSettings,
  OneTime,
  People,
  PersonForm,
  Policy,
  Preview,
  Proof,
  RemoteStats,
  Session,
  Snapshot,
  Ticket,
} from './types'

export type * from './types'
export type * from './history'
export { everything } from './history'

/** Everything the page may ask of the native side. Every promise rejects with a BackendError and nothing else. */
export interface Backend {
  /** Calls back at once with the state of now and then after each change; returns how to stop. */
  subscribe(listener: (snapshot: Snapshot) => void): () => void
  shell: {
    quit(): Promise<void>
    fullscreen(on: boolean): Promise<void>
    copyText(text: string): Promise<void>
    about(): Promise<AboutInfo>
    doctor(): Promise<Check[]>
    setAppearance(appearance: Appearance): Promise<void>
    setLanguage(language: Language): Promise<void>
    dismissNotice(id: string): Promise<void>
  }
  setup: {
    useThisComputer(): Promise<void>
    useServer(url: string): Promise<void>
    /** Resolves to what is still needed: nothing, or the code of the second step. */
    signIn(with_: { email: string; password: string; totp: string }): Promise<{ next: '' | 'code' }>
    /** Reads a one-time link or code and says what it is for; a link chooses its server. */
    look(oneTime: string): Promise<JoinInfo>
    /** Uses the code that look read: the password is set and the person signed in. */
    join(with_: { name: string; password: string; totp: string }): Promise<void>
    /** Back from a forced second step to signing in. */
    leave(): Promise<void>
    signOut(): Promise<void>
    unlock(passphrase: string): Promise<void>
    setPassphrase(passphrase: string): Promise<void>
    useMemory(): Promise<void>
    setLAN(on: boolean, address: string): Promise<void>
  }
  sessions: {
    preview(invitee: Invitee): Promise<Preview>
    create(invitee: Invitee): Promise<Session>
    sendMail(id: string): Promise<void>
    openMailProgram(id: string): Promise<void>
    copyLink(id: string): Promise<void>
    correct(id: string, email: string, name: string): Promise<void>
    resend(id: string): Promise<void>
    again(id: string): Promise<Invitee>
    cancel(id: string): Promise<void>
    takeOver(link: string): Promise<Session>
    choose(id: string, instance: string): Promise<void>
    newCode(id: string): Promise<void>
    end(id: string): Promise<void>
    putAway(id: string): Promise<void>
    reboot(id: string): Promise<void>
    askRight(id: string, right: string): Promise<void>
    /** Ends a session of a colleague (leads), or of one's own that was begun at another console. */
    endOf(id: string): Promise<void>
    /** Asks the server for all sessions now: colleagues' come by themselves once a minute only. */
    refresh(): Promise<void>
  }
  remote: {
    open(id: string, viewOnly: boolean): Promise<Ticket>
    close(id: string): Promise<void>
    selectDisplay(id: string, display: number): Promise<void>
    setViewOnly(id: string, on: boolean): Promise<void>
    chord(id: string, name: string): Promise<void>
    sendClipboard(id: string): Promise<void>
    fetchClipboard(id: string): Promise<void>
    stats(id: string): Promise<RemoteStats>
  }
  mail: {
    get(): Promise<MailSettings>
    save(settings: MailSettings, password: string): Promise<void>
    test(to: string): Promise<void>
    stopTest(): Promise<void>
  }
  history: HistoryBackend
  /** Colleagues: leads may look, admins may change. */
  team: {
    people(): Promise<People>
    consoles(person: string): Promise<ConsoleInfo[]>
    invite(email: string, form: PersonForm): Promise<OneTime>
    /** A new link for a pending invitation; the earlier one stops working. */
    again(invitation: string): Promise<OneTime>
    revokeInvitation(invitation: string): Promise<void>
    change(person: string, form: PersonForm): Promise<void>
    /** Resolves to how many live sessions ended by it. */
    setDisabled(person: string, disabled: boolean): Promise<number>
    resetPassword(person: string): Promise<OneTime>
    resetTOTP(person: string): Promise<void>
    revokeConsole(person: string, console: string): Promise<number>
    /** Opens the mail program with what was made last for this id. */
    openMailProgram(oneTime: string): Promise<void>
    policy(): Promise<Policy>
    setPolicy(policy: Policy): Promise<void>
    audit(query: AuditQuery): Promise<AuditPage>
    verifyAudit(): Promise<AuditVerdict>
  }
  /** One's own account. */
  account: {
    consoles(): Promise<ConsoleInfo[]>
    changePassword(old: string, now: string): Promise<void>
    /** A fresh secret for an authenticator; nothing changes before confirmTOTP. */
    beginTOTP(proof: Proof): Promise<Enrolment>
    /** Resolves to the recovery codes, which are shown once. */
    confirmTOTP(code: string): Promise<string[]>
    /** The recovery codes are kept: a sign-in that waited for this goes on. */
    kept(): Promise<void>
    newRecoveryCodes(proof: Proof): Promise<string[]>
    removeTOTP(proof: Proof): Promise<void>
    revokeConsole(console: string): Promise<number>
  }
}

/** What a failed call of the native side throws. */
export class BackendError extends Error {
  constructor(readonly fault: Fault) {
    super(fault.message)
    this.name = 'BackendError'
  }
}

/** Reads whatever the native side threw (a JSON fault, a plain text, an Error) into a fault. Never throws. */
export function toFault(thrown: unknown): Fault {
  if (thrown instanceof BackendError) return thrown.fault
  const text = thrown instanceof Error ? thrown.message : typeof thrown === 'string' ? thrown : ''
  try {
    const read: unknown = typeof thrown === 'object' && thrown !== null && !(thrown instanceof Error) ? thrown : JSON.parse(text)
    if (typeof read === 'object' && read !== null && 'message' in read && typeof read.message === 'string') {
      const of = read as Record<string, unknown>
      const str = (key: string): string => {
        const value = of[key]
        return typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value)
      }
      return { kind: str('kind') || 'internal', message: read.message, hint: str('hint'), details: str('details'), op: str('op') }
    }
  } catch {
    // not JSON: a text from the bridge itself
  }
  return { kind: 'internal', message: '', hint: '', details: text || String(thrown) }
}

/** What the picture tells the page. The canvas and keyboard work itself is lib/viewer. */
export interface ViewerEvents {
  /** The remote surface has this size now. */
  size(width: number, height: number): void
  /** connecting: no picture yet · live · lost: the last picture stays · closed: the stream is gone for good, open anew. */
  state(state: 'connecting' | 'live' | 'lost' | 'closed'): void
  /** The picture has the keyboard, or gave it back. */
  captured(on: boolean): void
  /** The person pressed Ctrl+Alt+Esc; the picture has let go of everything already. */
  released(): void
}

export interface ViewerHandle {
  focus(): void
  setScale(mode: 'fit' | 'one'): void
  setViewOnly(on: boolean): void
  setKeyboard(mode: 'keys' | 'text'): void
  refresh(): void
  close(): void
}

/** Puts a picture into the element, which it fills. */
export type OpenViewer = (
  host: HTMLElement,
  ticket: Ticket,
  options: { scale: 'fit' | 'one'; viewOnly: boolean; keyboard: 'keys' | 'text'; label: string },
  events: ViewerEvents,
) => ViewerHandle

/** What the composition root hands to the page. */
export interface Native {
  backend: Backend
  openViewer: OpenViewer
}
