// How view messages get to the page and the page's messages back: a WebSocket on the loopback, or polls of the page's own
// origin where the web view does not open one.

/** From Remote.Open: what the native side hands out for one stream. */
export interface Ticket {
  socket: string // ws://127.0.0.1:port/view/socket, "" when there is none
  path: string // of the polls, "/view/"
  token: string
}

export interface Handlers {
  open(kind: 'socket' | 'poll'): void
  message(data: ArrayBuffer): void
  /** final: the native side ended the stream or gave it to another page; do not come again. */
  close(final: boolean): void
}

export interface Transport {
  /** Sends now. The bytes are the caller's again when it returns. */
  send(message: Uint8Array<ArrayBuffer>): void
  /** Bytes that wait to leave the page. */
  readonly waiting: number
  close(): void
}

const protocol = 'daypass.view.1'
const patience = 500 // ms until polls take over from a WebSocket that does not open

/** Opens the WebSocket, and polls when it has not opened after 500 ms. Handlers are never called before it returned. */
export function connect(ticket: Ticket, on: Handlers): Transport {
  let current: Transport | undefined
  let over = false
  const finish = (final: boolean): void => {
    if (over) return
    over = true
    on.close(final)
  }
  const poll = (): void => {
    if (!over) current = new Poll(ticket, { ...on, close: finish })
  }
  if (ticket.socket === '') {
    queueMicrotask(poll)
  } else {
    let socket: WebSocket
    try {
      socket = new WebSocket(ticket.socket, [protocol, ticket.token])
      socket.binaryType = 'arraybuffer'
      let opened = false
      let abandoned = false
      const abandon = (): void => {
        if (opened || abandoned) return
        abandoned = true
        clearTimeout(timer)
        socket.close()
        poll()
      }
      const timer = setTimeout(abandon, patience)
      socket.onopen = () => {
        if (abandoned || over) return socket.close()
        opened = true
        clearTimeout(timer)
        on.open('socket')
      }
      socket.onmessage = (e: MessageEvent<unknown>) => {
        if (!over && !abandoned && e.data instanceof ArrayBuffer) on.message(e.data)
      }
      socket.onclose = (e) => {
        if (opened) finish(e.code === 1000)
        else abandon()
      }
      current = {
        send: (m) => {
          if (socket.readyState === WebSocket.OPEN) socket.send(m)
        },
        get waiting() {
          return socket.bufferedAmount
        },
        close: () => {
          clearTimeout(timer)
          abandoned = true
          socket.close()
        },
      }
    } catch {
      queueMicrotask(poll) // the policy of the page or of the web view forbids it
    }
  }
  return {
    send: (m) => current?.send(m),
    get waiting() {
      return current?.waiting ?? 0
    },
    close: () => {
      over = true
      current?.close()
    },
  }
}

class Poll implements Transport {
  #ticket: Ticket
  #on: Handlers
  #abort = new AbortController()
  #page = ''
  #queue: Uint8Array<ArrayBuffer>[] = []
  #sending = false

  constructor(ticket: Ticket, on: Handlers) {
    this.#ticket = ticket
    this.#on = on
    void this.#run()
  }

  #post(what: string, body?: Uint8Array<ArrayBuffer>): Promise<Response> {
    const headers: Record<string, string> = { 'X-Daypass-Token': this.#ticket.token }
    if (this.#page !== '') headers['X-Daypass-Page'] = this.#page
    return fetch(this.#ticket.path + what, { method: 'POST', headers, body, signal: this.#abort.signal, cache: 'no-store' })
  }

  async #run(): Promise<void> {
    let final = false
    try {
      const r = await this.#post('attach')
      final = r.status === 410
      if (r.ok) {
        this.#page = await r.text()
        if (!this.#abort.signal.aborted) this.#on.open('poll')
        while (!this.#abort.signal.aborted) {
          const next = await this.#post('next')
          final = next.status === 410
          if (!next.ok) break
          if (next.status === 204) continue
          const data = await next.arrayBuffer()
          if (data.byteLength > 0 && !this.#abort.signal.aborted) this.#on.message(data)
        }
      }
    } catch {
      // aborted, or the window's side is gone: said by close
    }
    if (!this.#abort.signal.aborted) {
      this.#abort.abort()
      this.#on.close(final)
    }
  }

  get waiting(): number {
    return this.#queue.reduce((n, m) => n + m.length, 0)
  }

  send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#page === '' || this.#abort.signal.aborted) return
    const last = this.#queue.at(-1)
    // Of moves that wait, the newest is enough: input (2) of kind move (1).
    if (last && last[0] === 2 && last[1] === 1 && message[0] === 2 && message[1] === 1) this.#queue.pop()
    this.#queue.push(message.slice())
    if (!this.#sending) void this.#flush()
  }

  async #flush(): Promise<void> {
    this.#sending = true
    try {
      while (this.#queue.length > 0) {
        const batch = this.#queue.splice(0, 128)
        const body = new Uint8Array(batch.reduce((n, m) => n + 1 + m.length, 0))
        let p = 0
        for (const m of batch) {
          body[p++] = m.length
          body.set(m, p)
          p += m.length
        }
        const r = await this.#post('send', body)
        if (!r.ok) throw new Error(String(r.status))
      }
    } catch {
      this.#queue.length = 0
      if (!this.#abort.signal.aborted) {
        this.#abort.abort()
        this.#on.close(false)
      }
    } finally {
      this.#sending = false
    }
  }

  close(): void {
    this.#abort.abort()
  }
}
