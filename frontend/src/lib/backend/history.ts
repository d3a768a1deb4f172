// The history as it crosses between the page and the native side. Times are unix milliseconds.
import type { Fault, SessionState } from './types'

export type HistorySort = 'newest' | 'oldest' | 'name' | 'longest'

/** Asks for sessions; an empty field asks for all. */
export interface HistoryQuery {
  query: string
  state: string
  endedBy: string
  technician: string
  customer: string
  from: number
  to: number
  has: string[]
  tag: string
  whose: '' | 'mine' | 'others'
  sort: HistorySort
  /** The mark of the row before, or one of marks(). */
  after: string
  limit: number
}

export interface HistoryRow {
  id: string
  mark: string
  mine: boolean
  label: string
  email: string
  subject: string
  computer: string
  os: string
  technician: string
  state: SessionState
  has: string[]
  createdAt: number
  startedAt?: number
  endedAt?: number
  endedBy?: string
  /** The record is not kept any more, by the company's rule. */
  deletedAt?: number
}

export interface HistoryPage {
  total: number
  rows: HistoryRow[]
  /** Stored already and listed a moment later: ask again. */
  behind: number
}

export interface HistoryCount {
  value: string
  n: number
}

export interface HistoryFacets {
  total: number
  mine: number
  technicians: HistoryCount[]
  tags: HistoryCount[]
  has: string[]
}

export interface TimelineRow {
  seq: number
  at: number
  actor: string
  kind: string
  text: string
  signedBy: string[]
}

export interface Verdict {
  ok: boolean
  level: 'complete' | 'incomplete' | 'tampered'
  kind: string
  /** The number of the entry that fails; 0 if none does. */
  bad: number
  text: string
}

export interface Timeline {
  rows: TimelineRow[]
  verdict: Verdict
}

export interface HistoryNote {
  author: string
  at: number
  text: string
}

export interface HistoryDetail {
  row: HistoryRow
  fromServer: boolean
  user: string
  timeZone: string
  version: string
  rights: string[]
  paths: string[]
  removal: '' | 'pending' | 'clean' | 'unclean' | 'unconfirmed'
  lines: string[]
  receipt: boolean
  notes: HistoryNote[]
  note: HistoryNote
  tags: string[]
  timeline: Timeline
}

export interface ExportRequest {
  format: 'csv' | 'excel' | 'json' | 'html'
  german: boolean
  /** One session; empty for all that match. */
  id: string
  query: HistoryQuery
  title: string
  dialog: string
}

export interface ReceiptFinding {
  chosen: boolean
  file: string
  standing: 'genuine' | 'unknown' | 'foreign' | 'changed'
  id: string
  known: boolean
  company: string
  technician: string
  computer: string
  startedAt: number
  endedAt: number
  endedBy: string
  clean: boolean
  both: boolean
  checks: { name: string; ok: boolean; detail: string }[]
}

/** The key to the company's history at the server, as this computer knows it. */
export interface HistoryKey {
  state: 'off' | 'none' | 'ready' | 'waiting' | 'changed' | 'lost'
  generation: number
  made: number
  maker: string
  /** Fingerprint of what this computer believes. */
  known: string
  /** With "changed": what the server has instead; '' and 0: nothing that could be believed. */
  claimed: string
  claimedGen: number
  claimedBy: string
  lead: boolean
  recovery: boolean
  holders: { person: string; name: string; this: boolean; has: boolean; lead: boolean }[]
  /** Sessions with something that the server does not have yet. */
  unsent: number
  /** Of a download that runs; total 0: none does. */
  done: number
  total: number
  /** How long the company keeps its history; 0: for good. */
  months: number
  /** From then on that counts here, which is shorter than before; 0: it does. */
  shorter: number
  fault: Fault | null
}

export interface HistoryBackend {
  key(): Promise<HistoryKey>
  /** Brings it up to date now, not at the next minute. */
  sync(): Promise<void>
  /** Makes a recovery key and returns what is to be printed. It counts from keepRecovery on. */
  newRecovery(): Promise<string>
  keepRecovery(): Promise<void>
  dropRecovery(): Promise<void>
  useRecovery(words: string): Promise<void>
  renewKey(): Promise<void>
  acceptKey(fingerprint: string): Promise<void>
  list(query: HistoryQuery): Promise<HistoryPage>
  /** Where each page of query.limit rows after the first begins. */
  marks(query: HistoryQuery): Promise<string[]>
  facets(): Promise<HistoryFacets>
  timeline(id: string): Promise<Timeline>
  open(id: string): Promise<HistoryDetail>
  /** Resolves to when it was kept. */
  setNote(id: string, text: string): Promise<number>
  addTag(id: string, tag: string): Promise<void>
  removeTag(id: string, tag: string): Promise<void>
  export(request: ExportRequest): Promise<{ sessions: number; path: string; cancelled: boolean }>
  exportProgress(): Promise<{ running: boolean; done: number; all: number }>
  cancelExport(): Promise<void>
  checkReceipt(dialog: string): Promise<ReceiptFinding>
}

export const everything: HistoryQuery = { query: '', state: '', endedBy: '', technician: '', customer: '', from: 0, to: 0, has: [], tag: '', whose: '', sort: 'newest', after: '', limit: 100 }
