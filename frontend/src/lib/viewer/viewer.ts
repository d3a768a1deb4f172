import { Keyboard, type KeyboardMode, type KeyLike } from './keyboard'
import { usages } from './keys'
import * as wire from './protocol'
import { ProtocolError, Surface, type Cursor, type Message } from './surface'
import { connect, type Ticket, type Transport } from './transport'

export type Mode = 'fit' | '1:1'

/** connecting: no picture yet · live · lost: the last picture stays, it comes back by itself · closed: for good. */
export type State = 'connecting' | 'live' | 'lost' | 'closed'

export interface Options {
  mode?: Mode
  viewOnly?: boolean
  keyboard?: KeyboardMode
  /** What screen readers call the picture. */
  label?: string
  /** Keys that stay with the window around the picture; everything held is released first. */
  reserved?: (e: KeyboardEvent) => boolean
}

export interface Events {
  state: State
  size: { width: number; height: number }
  /** The picture has the keyboard or lost it. */
  focus: boolean
  /** Control+Alt+Escape: the person wants the keyboard back. The picture has given it up already. */
  escape: undefined
  /** A message that was not one; the picture asks for a repaint by itself. */
  error: Error
}

export interface Statistics {
  transport: 'socket' | 'poll' | ''
  frames: number
  bytes: number
  inputs: number
  fps: number // over the last two seconds
  bytesPerSecond: number
  paintMicros: number // last frame: read, applied and drawn
  paintMicrosMean: number // over about 16 frames
  width: number
  height: number
}

const moveEvery = 4 // ms between two moves, at least; the newest is never lost
const panZone = 28 // CSS px from the edge where 1:1 pans
const panStep = 14 // CSS px an animation frame at the very edge

// MouseEvent.button → bit in event.buttons
const nativeBit = [1, 4, 2, 8, 16]

/**
 * One remote display on the page: paints what comes, sends what the person does.
 *
 *     const viewer = new Viewer(element, ticket, { mode: 'fit' })
 *     const off = viewer.on('state', (state) => ...)
 *     viewer.focus()
 *     viewer.destroy()
 *
 * The element gets the viewer as a child that fills it; the element must have a size. The picture stays when the
 * connection is lost; dimming it is up to who made the viewer. Frames are drawn in the handler of their message while
 * the page is idle, and at most once an animation frame under load. Input leaves in the handler of its event.
 */
export class Viewer {
  #root = document.createElement('div')
  #canvas = document.createElement('canvas')
  #pointerView = document.createElement('canvas')
  #field = document.createElement('textarea')
  #ctx: CanvasRenderingContext2D | null
  #surface = new Surface()
  #image: ImageData | undefined
  #options: Options
  #ticket: Ticket
  #transport: Transport | undefined
  #kind: 'socket' | 'poll' | '' = ''
  #state: State = 'connecting'
  #listeners = new Map<keyof Events, Set<(value: never) => void>>()
  #abort = new AbortController()
  #resize: ResizeObserver | undefined
  #keyboard: Keyboard

  #mode: Mode
  #viewOnly: boolean
  #scale = 1 // CSS px for one remote pixel
  #left = 0
  #top = 0
  #panX = 0 // CSS px of the picture left of the middle
  #panY = 0
  #panFrame = 0

  #frame = 0 // pending animation frame, 0 when the page is idle
  #unpainted: { seq: number; micros: number }[] = []
  #retry: ReturnType<typeof setTimeout> | undefined
  #retries = 0

  #buttons = 0
  #sides = 0 // of them those that the window told of: no event says that they are up
  #x = 0
  #y = 0
  #client: { x: number; y: number } | undefined // pointer over the viewer, in client px
  #rest: { x: number; y: number } | undefined // pointer over the page
  #sentMove = ''
  #moveTimer: ReturnType<typeof setTimeout> | undefined
  #movedAt = 0
  #wheelX = 0
  #wheelY = 0

  #cursor: Cursor | undefined
  #remote = { visible: false, x: 0, y: 0 }

  #frames = 0
  #bytes = 0
  #inputs = 0
  #paint = 0
  #paintMean = 0
  #recent: { at: number; bytes: number }[] = []

  constructor(host: HTMLElement, ticket: Ticket, options: Options = {}) {
    this.#options = options
    this.#ticket = ticket
    this.#mode = options.mode ?? 'fit'
    this.#viewOnly = options.viewOnly ?? false
    this.#keyboard = new Keyboard({
      key: (usage, down, mods, repeat) => this.#send(wire.key(usage, down, mods, repeat)),
      text: (s, chord) => {
        if (chord) this.#send(wire.text(s, true))
        else for (const part of wire.texts(s)) this.#send(wire.text(part, false))
      },
      release: () => this.#send(wire.release()),
    })
    this.#keyboard.mode = options.keyboard ?? 'position'
    this.#ctx = this.#canvas.getContext('2d', { alpha: false, desynchronized: true })
    this.#build(host)
    this.#listen()
    this.#open()
  }

  // ---- for who uses it

  get state(): State {
    return this.#state
  }

  /** Calls f on each event until the returned function is called. */
  on<K extends keyof Events>(event: K, f: (value: Events[K]) => void): () => void {
    let set = this.#listeners.get(event)
    if (!set) this.#listeners.set(event, (set = new Set()))
    set.add(f as (value: never) => void)
    return () => set.delete(f as (value: never) => void)
  }

  setMode(mode: Mode): void {
    this.#mode = mode
    this.#panX = this.#panY = 0
    this.#layout()
  }

  /** Takes the input away or gives it back. Everything held is released. */
  setViewOnly(on: boolean): void {
    if (on) this.release()
    this.#viewOnly = on
    this.#showCursor()
  }

  /** position: keys by their place, as if the remote keyboard were here. text: characters as this keyboard writes them. */
  setKeyboardMode(mode: KeyboardMode): void {
    this.release()
    this.#keyboard.mode = mode
    if (this.#focused()) this.focus()
  }

  /** Presses the keys in order and lets them go in reverse, e.g. ['ControlLeft', 'KeyC']. Unknown codes throw. */
  sendChord(codes: readonly string[]): void {
    const keys = codes.map((code) => {
      const usage = usages.get(code)
      if (usage === undefined) throw new RangeError(`no such key: ${code}`)
      return { usage, bit: modifierBit(code) }
    })
    let mods = 0
    for (const k of keys) {
      mods |= k.bit
      this.#send(wire.key(k.usage, true, mods, false))
    }
    for (const k of keys.reverse()) {
      mods &= ~k.bit
      this.#send(wire.key(k.usage, false, mods, false))
    }
  }

  /** Types the text on the remote computer whatever its layout. */
  typeText(s: string): void {
    for (const part of wire.texts(s)) this.#send(wire.text(part, false))
  }

  focus(): void {
    const target = this.#keyboard.mode === 'text' && !this.#viewOnly ? this.#field : this.#root
    target.focus({ preventScroll: true })
  }

  /** Lets go of every key and button. */
  release(): void {
    this.#buttons = this.#sides = 0
    clearTimeout(this.#moveTimer)
    this.#moveTimer = undefined
    this.#field.value = ''
    this.#keyboard.release()
  }

  /** A press or release of back (3) or forward (4) that the page was not given as an event; it counts where the pointer is. */
  sideButton(which: number, down: boolean): void {
    if ((which !== 3 && which !== 4) || ((this.#buttons >> which) & 1) === (down ? 1 : 0)) return
    if (down && this.#client === undefined) return
    this.#sides = down ? this.#sides | (1 << which) : this.#sides & ~(1 << which)
    this.#button(which, down)
  }

  /** Asks for a full repaint. */
  refresh(): void {
    this.#transport?.send(wire.refresh())
  }

  /** Moves the 1:1 picture, CSS px; positive shows what is right and below. */
  pan(dx: number, dy: number): void {
    this.#panX += dx
    this.#panY += dy
    this.#layout()
  }

  stats(): Statistics {
    const since = performance.now() - 2000
    while (this.#recent.length > 0 && this.#recent[0]!.at < since) this.#recent.shift()
    return {
      transport: this.#kind,
      frames: this.#frames,
      bytes: this.#bytes,
      inputs: this.#inputs,
      fps: this.#recent.length / 2,
      bytesPerSecond: this.#recent.reduce((n, r) => n + r.bytes, 0) / 2,
      paintMicros: this.#paint,
      paintMicrosMean: this.#paintMean,
      width: this.#surface.width,
      height: this.#surface.height,
    }
  }

  /** Ends it and takes it off the page. The stream itself is closed by the native side. */
  destroy(): void {
    if (this.#abort.signal.aborted) return
    this.release()
    this.#abort.abort()
    this.#resize?.disconnect()
    clearTimeout(this.#retry)
    cancelAnimationFrame(this.#frame)
    cancelAnimationFrame(this.#panFrame)
    this.#transport?.close()
    this.#transport = undefined
    this.#listeners.clear()
    this.#root.remove()
  }

  #emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const f of this.#listeners.get(event) ?? []) (f as (value: Events[K]) => void)(value)
  }

  // ---- the page

  #build(host: HTMLElement): void {
    const label = this.#options.label ?? 'Remote display'
    Object.assign(this.#root.style, { position: 'relative', width: '100%', height: '100%', overflow: 'hidden', outline: 'none', touchAction: 'none', userSelect: 'none' })
    this.#root.tabIndex = 0
    this.#root.setAttribute('role', 'application')
    this.#root.setAttribute('aria-label', label)
    this.#root.dataset['viewer'] = ''
    Object.assign(this.#canvas.style, { position: 'absolute', left: '0', top: '0', width: '0', height: '0', display: 'block' })
    this.#canvas.width = this.#canvas.height = 1
    Object.assign(this.#pointerView.style, { position: 'absolute', left: '0', top: '0', pointerEvents: 'none', transformOrigin: '0 0', display: 'none' })
    // Composed text comes through a field that nobody sees; it lies under the middle so that input methods open there.
    Object.assign(this.#field.style, {
      position: 'absolute', left: '50%', top: '50%', width: '1px', height: '1px', opacity: '0', border: '0', padding: '0', resize: 'none', pointerEvents: 'none',
    })
    this.#field.tabIndex = -1
    this.#field.setAttribute('aria-label', label)
    for (const name of ['autocomplete', 'autocorrect', 'autocapitalize']) this.#field.setAttribute(name, 'off')
    this.#field.spellcheck = false
    this.#root.append(this.#canvas, this.#pointerView, this.#field)
    host.append(this.#root)
    if (typeof ResizeObserver !== 'undefined') {
      this.#resize = new ResizeObserver(() => this.#layout())
      this.#resize.observe(this.#root)
    }
  }

  #layout(): void {
    const { width: W, height: H } = this.#surface
    if (W === 0) return
    const w = this.#root.clientWidth
    const h = this.#root.clientHeight
    const dpr = window.devicePixelRatio || 1
    this.#scale = this.#mode === 'fit' ? Math.min(w / W, h / H) || 1 / dpr : 1 / dpr
    if (Math.abs(this.#scale * dpr - 1) < 0.002) this.#scale = 1 / dpr
    const pw = W * this.#scale
    const ph = H * this.#scale
    const place = (space: number, size: number, pan: number): [number, number] => {
      const most = Math.max(0, (size - space) / 2)
      const kept = Math.max(-most, Math.min(most, pan))
      return [Math.round(((space - size) / 2 - kept) * dpr) / dpr, kept]
    }
    ;[this.#left, this.#panX] = place(w, pw, this.#panX)
    ;[this.#top, this.#panY] = place(h, ph, this.#panY)
    const whole = Math.abs(this.#scale * dpr - Math.round(this.#scale * dpr)) < 0.001
    Object.assign(this.#canvas.style, {
      left: `${this.#left}px`, top: `${this.#top}px`, width: `${pw}px`, height: `${ph}px`, imageRendering: whole ? 'pixelated' : 'auto',
    })
    this.#placeRemote()
  }

  // ---- the picture

  #open(): void {
    this.#transport = connect(this.#ticket, {
      open: (kind) => {
        this.#kind = kind
        this.#unpainted = []
      },
      message: (data) => this.#message(data),
      close: (final) => this.#lost(final),
    })
  }

  #lost(final: boolean): void {
    this.#transport?.close()
    this.#transport = undefined
    this.#kind = ''
    this.#unpainted = []
    this.#buttons = this.#sides = 0
    this.#keyboard.release() // forgets what is down; the other side lets go by itself
    if (this.#abort.signal.aborted) return
    this.#become(final ? 'closed' : 'lost')
    if (final) return
    this.#retry = setTimeout(() => this.#open(), Math.min(2000, 100 * 2 ** this.#retries++))
  }

  #become(state: State): void {
    if (this.#state === state) return
    this.#state = state
    this.#emit('state', state)
    if (state === 'live' && this.#client === undefined && this.#rest) {
      const { x, y } = this.#rest
      const box = this.#root.getBoundingClientRect()
      if (x >= box.left && x < box.right && y >= box.top && y < box.bottom) this.#client = { x, y }
      this.#placeRemote()
    }
  }

  #message(data: ArrayBuffer): void {
    const began = performance.now()
    this.#bytes += data.byteLength
    let m: Message
    try {
      m = this.#surface.apply(data)
    } catch (e) {
      if (!(e instanceof ProtocolError)) throw e
      this.#emit('error', e)
      this.#lost(false) // come back with a full repaint
      return
    }
    switch (m.kind) {
      case 'frame': {
        this.#frames++
        this.#recent.push({ at: began, bytes: data.byteLength })
        if (this.#recent.length > 1000) this.#recent.shift()
        if (m.resized) this.#resized()
        this.#unpainted.push({ seq: m.seq, micros: (performance.now() - began) * 1000 })
        if (this.#frame === 0) {
          this.#draw()
          this.#frame = requestAnimationFrame(this.#tick)
        }
        if (this.#state !== 'live') {
          this.#retries = 0
          this.#become('live')
        }
        break
      }
      case 'cursor':
        this.#cursor = m.cursor
        this.#showCursor()
        break
      case 'pointer':
        this.#remote = m
        this.#placeRemote()
        break
    }
  }

  #tick = (): void => {
    this.#frame = 0
    if (this.#unpainted.length === 0) return
    this.#draw()
    this.#frame = requestAnimationFrame(this.#tick)
  }

  #resized(): void {
    const { width, height, pixels } = this.#surface
    this.#canvas.width = width
    this.#canvas.height = height
    this.#image = new ImageData(new Uint8ClampedArray(pixels.buffer), width, height)
    this.#layout()
    this.#emit('size', { width, height })
  }

  #draw(): void {
    const began = performance.now()
    const rects = this.#surface.dirty.take()
    if (this.#ctx && this.#image) for (const r of rects) this.#ctx.putImageData(this.#image, 0, 0, r.x, r.y, r.w, r.h)
    const micros = (performance.now() - began) * 1000
    for (const u of this.#unpainted) {
      this.#paint = Math.round(u.micros + micros)
      this.#paintMean = this.#paintMean === 0 ? this.#paint : this.#paintMean + (this.#paint - this.#paintMean) / 16
      this.#transport?.send(wire.ack(u.seq, this.#paint))
    }
    this.#unpainted = []
  }

  // ---- the cursor

  #inControl(): boolean {
    return !this.#viewOnly && this.#client !== undefined
  }

  #showCursor(): void {
    const c = this.#cursor
    if (c && c.width > 0) {
      this.#pointerView.width = c.width
      this.#pointerView.height = c.height
      this.#pointerView.getContext('2d')?.putImageData(new ImageData(c.rgba, c.width, c.height), 0, 0)
    }
    if (this.#viewOnly || !c) this.#root.style.cursor = 'default'
    else if (c.width === 0) this.#root.style.cursor = 'none'
    else {
      // A shape that is still being loaded would show only when the pointer moves next.
      const url = this.#pointerView.toDataURL()
      const set = (): void => {
        if (this.#cursor === c && !this.#viewOnly) this.#root.style.cursor = `url(${url}) ${c.hotX} ${c.hotY}, default`
      }
      const shape = new Image()
      shape.src = url
      if (typeof shape.decode === 'function') shape.decode().then(set, set)
      else set()
    }
    this.#placeRemote()
  }

  #placeRemote(): void {
    const c = this.#cursor
    const show = this.#remote.visible && c !== undefined && c.width > 0 && !this.#inControl() && this.#surface.width > 0
    this.#pointerView.style.display = show ? 'block' : 'none'
    if (!show) return
    const x = this.#left + (this.#remote.x - c.hotX) * this.#scale
    const y = this.#top + (this.#remote.y - c.hotY) * this.#scale
    this.#pointerView.style.transform = `translate(${x}px, ${y}px) scale(${this.#scale})`
  }

  // ---- input

  #send(message: Uint8Array<ArrayBuffer>): void {
    if (this.#viewOnly || this.#abort.signal.aborted || !this.#transport) return
    this.#inputs++
    this.#transport.send(message)
  }

  #listen(): void {
    const signal = this.#abort.signal
    const root = this.#root
    const on = <K extends keyof HTMLElementEventMap>(name: K, f: (e: HTMLElementEventMap[K]) => void): void =>
      root.addEventListener(name, f, { signal, passive: false })

    // pointerrawupdate comes at once; pointermove waits for the next animation frame where both exist.
    const raw = 'onpointerrawupdate' in window
    if (raw) root.addEventListener('pointerrawupdate', (e) => this.#moved(e as PointerEvent), { signal })
    on('pointermove', (e) => this.#moved(e))
    // Where the pointer rests when the picture comes up under it: no event says that.
    window.addEventListener('pointermove', (e) => (this.#rest = { x: e.clientX, y: e.clientY }), { signal, capture: true, passive: true })
    on('pointerenter', (e) => {
      this.#client = { x: e.clientX, y: e.clientY }
      this.#placeRemote()
    })
    on('pointerleave', () => {
      this.#client = undefined
      this.#placeRemote()
    })
    on('pointerdown', (e) => {
      if (e.target instanceof Element && e.target !== this.#field) {
        try {
          root.setPointerCapture(e.pointerId) // drags go on outside
        } catch {
          // the pointer is gone already; the button's release comes by the window then
        }
      }
    })
    on('pointercancel', () => this.release())
    on('mousedown', (e) => this.#pressed(e))
    window.addEventListener('mouseup', (e) => this.#lifted(e), { signal })
    on('auxclick', (e) => e.preventDefault())
    on('contextmenu', (e) => e.preventDefault())
    on('dragstart', (e) => e.preventDefault())
    on('wheel', (e) => this.#wheeled(e))

    on('keydown', (e) => this.#key(e, true))
    on('keyup', (e) => this.#key(e, false))
    this.#field.addEventListener('input', (e) => this.#composed(e as InputEvent), { signal })
    this.#field.addEventListener('compositionend', () => this.#take(this.#field.value), { signal })
    on('focusin', () => this.#emit('focus', true))
    on('focusout', (e) => {
      if (e.relatedTarget instanceof Node && root.contains(e.relatedTarget)) return
      this.release()
      this.#emit('focus', false)
    })
    window.addEventListener('blur', () => this.release(), { signal })
    document.addEventListener('visibilitychange', () => document.hidden && this.release(), { signal })
    window.addEventListener('pagehide', () => this.release(), { signal })
    window.addEventListener('resize', () => this.#layout(), { signal })
  }

  #focused(): boolean {
    return this.#root.contains(document.activeElement)
  }

  /** Takes the position of the event on the remote display; false when there is none yet. */
  #at(e: { clientX: number; clientY: number }): boolean {
    const { width: W, height: H } = this.#surface
    if (W === 0) return false
    const box = this.#root.getBoundingClientRect()
    this.#client = { x: e.clientX, y: e.clientY }
    this.#x = Math.max(0, Math.min(W - 1, Math.floor((e.clientX - box.left - this.#left) / this.#scale)))
    this.#y = Math.max(0, Math.min(H - 1, Math.floor((e.clientY - box.top - this.#top) / this.#scale)))
    return true
  }

  #moved(e: PointerEvent): void {
    if (!this.#at(e)) return
    this.#edge()
    if (e.pointerType === 'mouse') {
      // A release that went to another window.
      for (let b = 0; b < nativeBit.length; b++) if (this.#buttons & ~this.#sides & (1 << b) && !(e.buttons & nativeBit[b]!)) this.#button(b, false)
    }
    if (this.#moveTimer !== undefined) return
    const wait = this.#movedAt + moveEvery - performance.now()
    if (wait <= 0 && this.#transport?.waiting === 0) this.#sendMove()
    else this.#moveTimer = setTimeout(() => this.#sendMove(), Math.max(1, wait))
  }

  #sendMove(): void {
    clearTimeout(this.#moveTimer)
    this.#moveTimer = undefined
    const now = `${this.#x},${this.#y},${this.#buttons}`
    if (now === this.#sentMove) return
    this.#sentMove = now
    this.#movedAt = performance.now()
    this.#send(wire.move(this.#x, this.#y, this.#buttons))
  }

  #pressed(e: MouseEvent): void {
    e.preventDefault()
    this.focus()
    const bit = nativeBit[e.button]
    // WebKitGTK says button 0 with buttons 0 for back and forward: that is no click.
    if (bit === undefined || !(e.buttons & bit) || !this.#at(e)) return
    this.#button(e.button, true)
  }

  #lifted(e: MouseEvent): void {
    if (!(this.#buttons & (1 << e.button))) return
    e.preventDefault()
    this.#at(e)
    this.#button(e.button, false)
  }

  #button(which: number, down: boolean): void {
    if (this.#viewOnly) return
    clearTimeout(this.#moveTimer)
    this.#moveTimer = undefined
    this.#buttons = down ? this.#buttons | (1 << which) : this.#buttons & ~(1 << which)
    this.#send(wire.button(this.#x, this.#y, this.#buttons, which))
    this.#sentMove = `${this.#x},${this.#y},${this.#buttons}`
  }

  #wheeled(e: WheelEvent): void {
    e.preventDefault()
    if (!this.#at(e)) return
    const old = e as WheelEvent & { wheelDeltaX?: number; wheelDeltaY?: number }
    const units = (delta: number, legacy: number | undefined): number => {
      if (delta === 0) return 0
      if (legacy) return -legacy // exactly 120 a notch where it exists
      return delta * (e.deltaMode === 0 ? 1.2 : e.deltaMode === 1 ? 40 : wire.notch)
    }
    this.#wheelX += units(e.deltaX, old.wheelDeltaX)
    this.#wheelY += units(e.deltaY, old.wheelDeltaY)
    const dx = Math.trunc(this.#wheelX)
    const dy = Math.trunc(this.#wheelY)
    if (dx === 0 && dy === 0) return
    this.#wheelX -= dx
    this.#wheelY -= dy
    this.#send(wire.wheel(this.#x, this.#y, dx, dy))
  }

  #key(e: KeyboardEvent, down: boolean): void {
    if (this.#viewOnly) return
    if (down && this.#options.reserved?.(e)) {
      this.release()
      return
    }
    if (down && e.code === 'Escape' && e.ctrlKey && e.altKey) {
      e.preventDefault()
      e.stopPropagation()
      this.release()
      ;(document.activeElement as HTMLElement | null)?.blur()
      this.#emit('escape', undefined)
      return
    }
    const done = down ? this.#keyboard.down(e as KeyLike) : this.#keyboard.up(e as KeyLike)
    if (done) e.preventDefault()
    e.stopPropagation()
  }

  #composed(e: InputEvent): void {
    if (!e.isComposing) this.#take(this.#field.value)
  }

  #take(s: string): void {
    this.#field.value = ''
    this.#keyboard.composed(s)
  }

  /** Near the edge, the 1:1 picture moves so that what is hidden there can be reached. */
  #edge(): void {
    if (this.#mode === '1:1' && this.#panFrame === 0) this.#panFrame = requestAnimationFrame(this.#panTick)
  }

  #panTick = (): void => {
    this.#panFrame = 0
    const at = this.#client
    if (!at || this.#mode !== '1:1') return
    const box = this.#root.getBoundingClientRect()
    const push = (p: number, size: number): number => {
      const near = p < panZone ? p - panZone : p > size - panZone ? p - size + panZone : 0
      return Math.max(-1, Math.min(1, near / panZone)) * panStep
    }
    const before = `${this.#panX},${this.#panY}`
    this.pan(push(at.x - box.left, box.width), push(at.y - box.top, box.height))
    if (before === `${this.#panX},${this.#panY}`) return
    this.#at({ clientX: at.x, clientY: at.y })
    this.#sendMove()
    this.#panFrame = requestAnimationFrame(this.#panTick)
  }
}

function modifierBit(code: string): number {
  if (code.startsWith('Shift')) return wire.mod.shift
  if (code.startsWith('Control')) return wire.mod.control
  if (code.startsWith('Alt')) return wire.mod.alt
  return code.startsWith('Meta') ? wire.mod.meta : 0
}
