// The real native side: methods bound by the window under window.go.console, one event "snapshot".
import { type Backend, BackendError, type Native, toFault } from './backend'
import { openViewer } from './viewer'
import type { ConsoleInfo, Snapshot } from './types'

type Bound = Record<string, Record<string, (...args: unknown[]) => Promise<unknown>>>

interface NativeWindow {
  go?: { console?: Bound }
  runtime?: { EventsOn(name: string, callback: (...data: unknown[]) => void): () => void }
}

const native = (): NativeWindow => window as unknown as NativeWindow

async function call<T>(type: string, method: string, ...args: unknown[]): Promise<T> {
  const bound = native().go?.console?.[type]?.[method]
  if (!bound) throw new BackendError({ kind: 'internal', message: '', hint: '', details: `${type}.${method} is not bound` })
  try {
    return (await bound(...args)) as T
  } catch (thrown) {
    throw new BackendError(toFault(thrown))
  }
}

// Go marshals an empty slice that was never made as null; the page wants lists to be lists.
const LISTS: readonly string[] = ['sessions', 'notices', 'waiting', 'rights', 'allowed', 'displays', 'lanAddresses', 'lines', 'roles', 'rows', 'licences', 'signedBy', 'people', 'invitations', 'consoles', 'entitled', 'live', 'companyRights', 'contacts', 'offered', 'has', 'technicians', 'tags', 'notes', 'paths', 'checks']

/** Replaces null by an empty list where the contract promises a list, at any depth. Exported for its test. */
export function lists<T>(value: T): T {
  if (Array.isArray(value)) for (const item of value) lists(item)
  else if (typeof value === 'object' && value !== null) {
    const of = value as Record<string, unknown>
    for (const [key, item] of Object.entries(of)) {
      if (item === null && LISTS.includes(key)) of[key] = []
      else lists(item)
    }
  }
  return value
}

function backend(): Backend {
  return {
    subscribe(listener) {
      let rev = -1
      let stopped = false
      const take = (snapshot: Snapshot): void => {
        if (stopped || snapshot.rev < rev) return // an older answer that arrived late
        rev = snapshot.rev
        listener(lists(snapshot))
      }
      const off = native().runtime?.EventsOn('snapshot', (snapshot) => take(snapshot as Snapshot))
      call<Snapshot>('Shell', 'Snapshot').then(take, (thrown: unknown) => {
        if (stopped || rev >= 0) return
        listener(fatal(toFault(thrown)))
      })
      return () => {
        stopped = true
        off?.()
      }
    },
    shell: {
      quit: () => call('Shell', 'Quit'),
      fullscreen: (on) => call('Shell', 'Fullscreen', on),
      copyText: (text) => call('Shell', 'CopyText', text),
      about: async () => lists(await call('Shell', 'About')),
      doctor: async () => (await call<{ checks: Awaited<ReturnType<Backend['shell']['doctor']>> | null }>('Shell', 'Doctor')).checks ?? [],
      setAppearance: (appearance) => call('Shell', 'SetAppearance', appearance),
      setLanguage: (language) => call('Shell', 'SetLanguage', language),
      dismissNotice: (id) => call('Shell', 'DismissNotice', id),
    },
    setup: {
      useThisComputer: () => call('Setup', 'UseThisComputer'),
      useServer: (url) => call('Setup', 'UseServer', url),
      signIn: (form) => call('Setup', 'SignIn', form),
      look: async (oneTime) => lists(await call('Setup', 'Look', oneTime)),
      join: (form) => call('Setup', 'Join', form),
      leave: () => call('Setup', 'Leave'),
      signOut: () => call('Setup', 'SignOut'),
      unlock: (passphrase) => call('Setup', 'Unlock', passphrase),
      setPassphrase: (passphrase) => call('Setup', 'SetPassphrase', passphrase),
      useMemory: () => call('Setup', 'UseMemory'),
      setLAN: (on, address) => call('Setup', 'SetLAN', on, address),
    },
    sessions: {
      preview: (invitee) => call('Sessions', 'Preview', invitee),
      create: async (invitee) => lists(await call('Sessions', 'Create', invitee)),
      sendMail: (id) => call('Sessions', 'SendMail', id),
      openMailProgram: (id) => call('Sessions', 'OpenMailProgram', id),
      copyLink: (id) => call('Sessions', 'CopyLink', id),
      correct: (id, email, name) => call('Sessions', 'Correct', id, email, name),
      resend: (id) => call('Sessions', 'Resend', id),
      again: (id) => call('Sessions', 'Again', id),
      cancel: (id) => call('Sessions', 'Cancel', id),
      takeOver: async (link) => lists(await call('Sessions', 'TakeOver', link)),
      choose: (id, instance) => call('Sessions', 'Choose', id, instance),
      newCode: (id) => call('Sessions', 'NewCode', id),
      end: (id) => call('Sessions', 'End', id),
      putAway: (id) => call('Sessions', 'PutAway', id),
      reboot: (id) => call('Sessions', 'Reboot', id),
      askRight: (id, right) => call('Sessions', 'AskRight', id, right),
      endOf: (id) => call('Sessions', 'EndOf', id),
      refresh: () => call('Sessions', 'Refresh'),
    },
    remote: {
      open: (id, viewOnly) => call('Remote', 'Open', id, viewOnly),
      close: (id) => call('Remote', 'Close', id),
      selectDisplay: (id, display) => call('Remote', 'SelectDisplay', id, display),
      setViewOnly: (id, on) => call('Remote', 'SetViewOnly', id, on),
      chord: (id, name) => call('Remote', 'Chord', id, name),
      sendClipboard: (id) => call('Remote', 'SendClipboard', id),
      fetchClipboard: (id) => call('Remote', 'FetchClipboard', id),
      stats: (id) => call('Remote', 'Stats', id),
    },
    mail: {
      get: () => call('Mail', 'Get'),
      save: (settings, password) => call('Mail', 'Save', settings, password),
      test: (to) => call('Mail', 'Test', to),
      stopTest: () => call('Mail', 'StopTest'),
    },
    history: {
      list: async (query) => lists(await call('History', 'List', query)),
      marks: async (query) => (await call<string[] | null>('History', 'Marks', query)) ?? [],
      facets: async () => lists(await call('History', 'Facets')),
      timeline: async (id) => lists(await call('History', 'Timeline', id)),
      open: async (id) => lists(await call('History', 'Open', id)),
      setNote: (id, text) => call('History', 'SetNote', id, text),
      addTag: (id, tag) => call('History', 'AddTag', id, tag),
      removeTag: (id, tag) => call('History', 'RemoveTag', id, tag),
      export: (request) => call('History', 'Export', request),
      exportProgress: () => call('History', 'ExportProgress'),
      cancelExport: () => call('History', 'CancelExport'),
      key: async () => lists(await call('History', 'Key')),
      sync: () => call('History', 'Sync'),
      newRecovery: () => call('History', 'NewRecovery'),
      keepRecovery: () => call('History', 'KeepRecovery'),
      dropRecovery: () => call('History', 'DropRecovery'),
      useRecovery: (words) => call('History', 'UseRecovery', words),
      renewKey: () => call('History', 'RenewKey'),
      acceptKey: (fingerprint) => call('History', 'AcceptKey', fingerprint),
      checkReceipt: async (dialog) => lists(await call('History', 'CheckReceipt', dialog)),
    },
    team: {
      people: async () => lists(await call('Team', 'People')),
      consoles: async (person) => (await call<ConsoleInfo[] | null>('Team', 'Consoles', person)) ?? [],
      invite: (email, form) => call('Team', 'Invite', email, form),
      again: (id) => call('Team', 'Again', id),
      revokeInvitation: (id) => call('Team', 'RevokeInvitation', id),
      change: (person, form) => call('Team', 'Change', person, form),
      setDisabled: (person, disabled) => call('Team', 'SetDisabled', person, disabled),
      resetPassword: (person) => call('Team', 'ResetPassword', person),
      resetTOTP: (person) => call('Team', 'ResetTOTP', person),
      revokeConsole: (person, console) => call('Team', 'RevokeConsole', person, console),
      openMailProgram: (id) => call('Team', 'OpenMailProgram', id),
      policy: async () => lists(await call('Team', 'Policy')),
      setPolicy: (policy) => call('Team', 'SetPolicy', policy),
      audit: async (query) => lists(await call('Team', 'Audit', query)),
      verifyAudit: () => call('Team', 'VerifyAudit'),
    },
    account: {
      consoles: async () => (await call<ConsoleInfo[] | null>('Account', 'Consoles')) ?? [],
      changePassword: (old, now) => call('Account', 'ChangePassword', old, now),
      beginTOTP: (proof) => call('Account', 'BeginTOTP', proof),
      confirmTOTP: async (code) => (await call<string[] | null>('Account', 'ConfirmTOTP', code)) ?? [],
      kept: () => call('Account', 'Kept'),
      newRecoveryCodes: async (proof) => (await call<string[] | null>('Account', 'NewRecoveryCodes', proof)) ?? [],
      removeTOTP: (proof) => call('Account', 'RemoveTOTP', proof),
      revokeConsole: (console) => call('Account', 'RevokeConsole', console),
    },
  }
}

/** What the page shows when the native side does not even give its first state. */
function fatal(fault: Snapshot['fatal']): Snapshot {
  return {
    rev: 0,
    phase: 'fatal',
    fatal: fault,
    version: '',
    lab: false,
    server: { kind: '', url: '', online: false, lan: false, insecure: false, lanAddresses: [] },
    vault: { kind: '', sealed: false },
    offered: [],
    limits: { mine: { used: 0, max: 0 }, company: { used: 0, max: 0 } },
    sessions: [],
    notices: [],
    mail: { configured: false },
    settings: { appearance: 'system', language: 'en' },
  }
}

export const createNative = (): Native => ({ backend: backend(), openViewer })
