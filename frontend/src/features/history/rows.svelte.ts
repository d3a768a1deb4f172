// The rows of the history as far as they were looked at: any part of a list of any length, page by page.
import { type Backend, everything, type Fault, type HistoryQuery, type HistoryRow, toFault } from '$lib/backend/backend'

export const PAGE = 100

export class Rows {
  total = $state<number | undefined>()
  behind = $state(0)
  fault = $state.raw<Fault | undefined>()
  #pages = $state.raw<Record<number, HistoryRow[]>>({})
  #marks: string[] | undefined
  #asked: Record<number, boolean> = {}
  #wanted: [number, number] = [0, 0]
  #query: HistoryQuery = everything
  #turn = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(readonly backend: Backend['history']) {}

  at(i: number): HistoryRow | undefined {
    return this.#pages[Math.floor(i / PAGE)]?.[i % PAGE]
  }

  find(id: string): HistoryRow | undefined {
    for (const page of Object.values(this.#pages)) for (const row of page) if (row.id === id) return row
    return undefined
  }

  /** Asks anew. What is there stays until the answer comes. */
  async load(query: HistoryQuery): Promise<void> {
    clearTimeout(this.#timer)
    const turn = ++this.#turn
    try {
      const first = await this.backend.list({ ...query, after: '', limit: PAGE })
      if (turn !== this.#turn) return
      this.#query = query
      this.#marks = undefined
      this.#asked = { 0: true }
      this.#pages = { 0: first.rows }
      this.total = first.total
      this.behind = first.behind
      this.fault = undefined
      if (first.behind > 0) this.#timer = setTimeout(() => void this.load(query), 300)
      if (first.total > PAGE) {
        const marks = await this.backend.marks({ ...query, after: '', limit: PAGE })
        if (turn !== this.#turn) return
        this.#marks = marks
        this.want(...this.#wanted)
      }
    } catch (thrown) {
      if (turn === this.#turn) this.fault = toFault(thrown)
    }
  }

  /** The rows from..to are looked at. */
  want(from: number, to: number): void {
    this.#wanted = [from, to]
    if (this.total === undefined) return
    for (let p = Math.floor(Math.max(0, from) / PAGE); p <= Math.floor(Math.min(to, this.total - 1) / PAGE); p++) void this.#page(p)
  }

  async #page(p: number): Promise<void> {
    const after = p === 0 ? '' : (this.#marks?.[p - 1] ?? this.#pages[p - 1]?.[PAGE - 1]?.mark)
    if (this.#asked[p] || after === undefined) return
    this.#asked[p] = true
    const turn = this.#turn
    try {
      const got = await this.backend.list({ ...this.#query, after, limit: PAGE })
      if (turn !== this.#turn) return
      const pages = { ...this.#pages, [p]: got.rows }
      // Of a long list only what is near stays.
      const have = Object.keys(pages).map(Number)
      if (have.length > 40) {
        const far = have.reduce((a, b) => (Math.abs(b - p) > Math.abs(a - p) ? b : a))
        delete pages[far]
        this.#asked[far] = false
      }
      this.#pages = pages
    } catch (thrown) {
      if (turn !== this.#turn) return
      this.#asked[p] = false
      this.fault = toFault(thrown)
    }
  }

  stop(): void {
    this.#turn++
    clearTimeout(this.#timer)
  }
}
