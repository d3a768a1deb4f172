// The exact picture as pixels, and the strict reader of view messages that changes it. No DOM in here.
//
// The picture lives in memory and not only on the canvas: copies are then memmoves, a lost canvas is painted again, and
// one frame of many small operations costs the canvas a few calls.

export const maxSide = 16384
export const maxPixels = 1 << 25
export const maxCursor = 256

export interface Rect {
  x: number
  y: number
  w: number
  h: number
}

export interface Cursor {
  width: number // 0: hidden
  height: number
  hotX: number
  hotY: number
  rgba: Uint8ClampedArray<ArrayBuffer>
}

export type Message =
  | { kind: 'frame'; seq: number; resized: boolean }
  | { kind: 'cursor'; cursor: Cursor }
  | { kind: 'pointer'; visible: boolean; x: number; y: number }

/** What came is not a view message. Nothing of it was applied. */
export class ProtocolError extends Error {
  override name = 'ProtocolError'
}

const opSize = 14
const frameHead = 16
const op = { copy: 1, solid: 2, palette: 3, raw: 4 } as const

/** Rectangles that changed: few, merged where they touch. */
export class Dirty {
  readonly rects: Rect[] = []

  add(x: number, y: number, w: number, h: number): void {
    const list = this.rects
    const last = list.at(-1)
    if (last && last.y === y && last.h === h && last.x + last.w === x) {
      last.w += w
      this.#stack()
    } else if (last && last.x === x && last.w === w && last.y + last.h === y) {
      last.h += h
    } else {
      list.push({ x, y, w, h })
      if (list.length > 64) this.#union()
    }
  }

  /** Joins the last two when the wider one came to lie under its equal. */
  #stack(): void {
    const last = this.rects.at(-1)
    const above = this.rects.at(-2)
    if (last && above && above.x === last.x && above.w === last.w && above.y + above.h === last.y) {
      above.h += last.h
      this.rects.pop()
    }
  }

  #union(): void {
    let [x0, y0, x1, y1] = [Infinity, Infinity, 0, 0]
    for (const r of this.rects) {
      x0 = Math.min(x0, r.x)
      y0 = Math.min(y0, r.y)
      x1 = Math.max(x1, r.x + r.w)
      y1 = Math.max(y1, r.y + r.h)
    }
    this.rects.length = 0
    this.rects.push({ x: x0, y: y0, w: x1 - x0, h: y1 - y0 })
  }

  /** Gives the rectangles and forgets them. */
  take(): Rect[] {
    return this.rects.splice(0)
  }
}

export class Surface {
  width = 0
  height = 0
  pixels = new Uint32Array(0) // 0xAABBGGRR, row by row, A = 255
  readonly dirty = new Dirty()
  #bytes = new Uint8Array(0)
  #lut = new Uint32Array(256)

  /** Reads one message and applies it. Throws ProtocolError for what is not exactly one within its bounds. */
  apply(buffer: ArrayBuffer): Message {
    const b = new Uint8Array(buffer)
    const v = new DataView(buffer)
    switch (b[0]) {
      case 1:
        return this.#frame(b, v)
      case 2:
        return cursor(b, v)
      case 3:
        if (b.length !== 6 || b[1]! > 1) throw new ProtocolError('pointer')
        return { kind: 'pointer', visible: b[1] === 1, x: v.getUint16(2, true), y: v.getUint16(4, true) }
    }
    throw new ProtocolError('kind')
  }

  #frame(b: Uint8Array, v: DataView): Message {
    if (b.length < frameHead || b[1]! > 1 || v.getUint32(12, true) !== 0) throw new ProtocolError('frame head')
    const full = b[1] === 1
    const W = v.getUint16(2, true)
    const H = v.getUint16(4, true)
    const count = v.getUint16(6, true)
    const seq = v.getUint32(8, true)
    if (W < 1 || H < 1 || W > maxSide || H > maxSide || W * H > maxPixels) throw new ProtocolError('size')
    const resized = W !== this.width || H !== this.height
    if (resized && !full) throw new ProtocolError('size changed without a repaint')
    check(b, v, W, H, count)
    if (resized) {
      this.width = W
      this.height = H
      this.pixels = new Uint32Array(W * H).fill(0xff000000)
      this.#bytes = new Uint8Array(this.pixels.buffer)
      this.dirty.take()
      this.dirty.add(0, 0, W, H)
    }
    let p = frameHead
    for (let i = 0; i < count; i++) {
      const type = b[p]!
      const aux = b[p + 1]!
      const x = v.getUint16(p + 2, true)
      const y = v.getUint16(p + 4, true)
      const w = v.getUint16(p + 6, true)
      const h = v.getUint16(p + 8, true)
      const a = v.getUint16(p + 10, true)
      const c = v.getUint16(p + 12, true)
      p += opSize
      switch (type) {
        case op.copy:
          this.#copy(x, y, w, h, a, c)
          break
        case op.solid:
          this.#solid(x, y, w, h, 0xff000000 | (b[p + 2]! << 16) | (b[p + 1]! << 8) | b[p]!)
          break
        case op.palette:
          this.#palette(b, p, aux, a, x, y, w, h)
          break
        case op.raw:
          this.#raw(b, p, x, y, w, h)
          break
      }
      p += payload(type, aux, w, h, a)
      this.dirty.add(x, y, w, h)
    }
    return { kind: 'frame', seq, resized }
  }

  #copy(x: number, y: number, w: number, h: number, sx: number, sy: number): void {
    const W = this.width
    const px = this.pixels
    if (w === W) {
      px.copyWithin(y * W, sy * W, (sy + h) * W)
    } else if (sy < y) {
      for (let r = h - 1; r >= 0; r--) px.copyWithin((y + r) * W + x, (sy + r) * W + sx, (sy + r) * W + sx + w)
    } else {
      for (let r = 0; r < h; r++) px.copyWithin((y + r) * W + x, (sy + r) * W + sx, (sy + r) * W + sx + w)
    }
  }

  #solid(x: number, y: number, w: number, h: number, colour: number): void {
    const W = this.width
    for (let r = y; r < y + h; r++) this.pixels.fill(colour, r * W + x, r * W + x + w)
  }

  #palette(b: Uint8Array, p: number, bits: number, colours: number, x: number, y: number, w: number, h: number): void {
    const lut = this.#lut
    const px = this.pixels
    for (let i = 0; i < colours; i++, p += 3) lut[i] = 0xff000000 | (b[p + 2]! << 16) | (b[p + 1]! << 8) | b[p]!
    lut.fill(0xff000000, colours, 1 << bits) // an index beyond the palette is black, never old pixels
    const skip = this.width - w
    let o = y * this.width + x
    if (bits === 8) {
      for (let r = 0; r < h; r++, o += skip) for (let i = 0; i < w; i++) px[o++] = lut[b[p++]!]!
    } else if (bits === 4) {
      for (let r = 0; r < h; r++, o += skip) {
        let i = 0
        for (; i + 1 < w; i += 2) {
          const v = b[p++]!
          px[o++] = lut[v >> 4]!
          px[o++] = lut[v & 15]!
        }
        if (i < w) px[o++] = lut[b[p++]! >> 4]!
      }
    } else {
      const zero = lut[0]!
      const one = lut[1]!
      for (let r = 0; r < h; r++, o += skip) {
        for (let i = 0; i < w; ) {
          let v = b[p++]!
          const end = Math.min(w, i + 8)
          for (; i < end; i++, v <<= 1) px[o++] = v & 0x80 ? one : zero
        }
      }
    }
  }

  #raw(b: Uint8Array, p: number, x: number, y: number, w: number, h: number): void {
    const W = this.width
    if (w === W) {
      this.#bytes.set(b.subarray(p, p + w * h * 4), y * W * 4)
    } else {
      for (let r = 0; r < h; r++) this.#bytes.set(b.subarray(p + r * w * 4, p + (r + 1) * w * 4), ((y + r) * W + x) * 4)
    }
    // Alpha is 255 by contract; the canvas is opaque and does not look.
  }
}

function payload(type: number, bits: number, w: number, h: number, colours: number): number {
  switch (type) {
    case op.solid:
      return 4
    case op.palette:
      return colours * 3 + Math.ceil((w * bits) / 8) * h
    case op.raw:
      return w * h * 4
  }
  return 0
}

/** Looks at every operation before the first is applied. */
function check(b: Uint8Array, v: DataView, W: number, H: number, count: number): void {
  let p = frameHead
  for (let i = 0; i < count; i++) {
    if (p + opSize > b.length) throw new ProtocolError('operation cut')
    const type = b[p]!
    const aux = b[p + 1]!
    const w = v.getUint16(p + 6, true)
    const h = v.getUint16(p + 8, true)
    const a = v.getUint16(p + 10, true)
    const c = v.getUint16(p + 12, true)
    if (w < 1 || h < 1 || v.getUint16(p + 2, true) + w > W || v.getUint16(p + 4, true) + h > H) throw new ProtocolError('operation outside')
    let ok = false
    switch (type) {
      case op.copy:
        ok = aux === 0 && a + w <= W && c + h <= H
        break
      case op.solid:
      case op.raw:
        ok = aux === 0 && a === 0 && c === 0
        break
      case op.palette:
        ok = (aux === 1 || aux === 4 || aux === 8) && a >= 2 && a <= 1 << aux && c === 0
        break
    }
    if (!ok) throw new ProtocolError('operation')
    p += opSize + payload(type, aux, w, h, a)
    if (p > b.length) throw new ProtocolError('payload cut')
  }
  if (p !== b.length) throw new ProtocolError('more than its operations')
}

function cursor(b: Uint8Array, v: DataView): Message {
  if (b.length < 12 || b[1] !== 0 || v.getUint16(10, true) !== 0) throw new ProtocolError('cursor head')
  const width = v.getUint16(2, true)
  const height = v.getUint16(4, true)
  const hotX = v.getUint16(6, true)
  const hotY = v.getUint16(8, true)
  const hidden = width === 0 && height === 0
  if (width > maxCursor || height > maxCursor || (!hidden && (hotX >= width || hotY >= height)) || b.length !== 12 + width * height * 4)
    throw new ProtocolError('cursor')
  return { kind: 'cursor', cursor: { width, height, hotX, hotY, rgba: new Uint8ClampedArray(b.slice(12).buffer) } }
}
