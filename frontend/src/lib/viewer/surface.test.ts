import { describe, expect, it } from 'vitest'
import { Dirty, ProtocolError, Surface } from './surface'

type Op = { type: number; aux?: number; x: number; y: number; w: number; h: number; a?: number; b?: number; data?: number[] }

function frame(W: number, H: number, ops: Op[], flags = 0, seq = 1): ArrayBuffer {
  const size = 16 + ops.reduce((n, o) => n + 14 + (o.data?.length ?? 0), 0)
  const b = new Uint8Array(size)
  const v = new DataView(b.buffer)
  b[0] = 1
  b[1] = flags
  v.setUint16(2, W, true)
  v.setUint16(4, H, true)
  v.setUint16(6, ops.length, true)
  v.setUint32(8, seq, true)
  let p = 16
  for (const o of ops) {
    b[p] = o.type
    b[p + 1] = o.aux ?? 0
    ;[o.x, o.y, o.w, o.h, o.a ?? 0, o.b ?? 0].forEach((n, i) => v.setUint16(p + 2 + 2 * i, n, true))
    b.set(o.data ?? [], p + 14)
    p += 14 + (o.data?.length ?? 0)
  }
  return b.buffer
}

let state = 7
const random = (n: number): number => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0
  return (state >>> 8) % n
}
const bytes = (n: number): number[] => Array.from({ length: n }, () => random(256))

/** The reference: every pixel by itself, in the plainest way. */
class Plain {
  px: number[][]
  constructor(
    public W: number,
    public H: number,
  ) {
    this.px = Array.from({ length: W * H }, () => [0, 0, 0])
  }
  apply(o: Op): void {
    const before = this.px.map((p) => [...p])
    const d = o.data ?? []
    for (let y = 0; y < o.h; y++)
      for (let x = 0; x < o.w; x++) {
        let c: number[] = []
        if (o.type === 1) c = before[((o.b ?? 0) + y) * this.W + (o.a ?? 0) + x]!
        if (o.type === 2) c = d.slice(0, 3)
        if (o.type === 3) {
          const bits = o.aux ?? 0
          const row = Math.ceil((o.w * bits) / 8)
          const at = (o.a ?? 0) * 3 + y * row + Math.floor((x * bits) / 8)
          const index = (d[at]! >> (8 - bits - ((x * bits) % 8))) & ((1 << bits) - 1)
          c = index < (o.a ?? 0) ? d.slice(index * 3, index * 3 + 3) : [0, 0, 0]
        }
        if (o.type === 4) c = d.slice((y * o.w + x) * 4, (y * o.w + x) * 4 + 3)
        this.px[(o.y + y) * this.W + o.x + x] = c
      }
  }
}

function op(W: number, H: number): Op {
  const type = 1 + random(4)
  const w = 1 + random(random(3) === 0 ? W : Math.min(W, 20))
  const h = 1 + random(Math.min(H, 12))
  const o: Op = { type, w, h, x: random(W - w + 1), y: random(H - h + 1) }
  if (type === 1) Object.assign(o, { a: random(W - w + 1), b: random(H - h + 1) })
  if (type === 2) o.data = [...bytes(3), 0]
  if (type === 3) {
    const aux = [1, 4, 8][random(3)]!
    const a = 2 + random((1 << aux) - 1)
    Object.assign(o, { aux, a, data: bytes(a * 3 + Math.ceil((w * aux) / 8) * h) })
  }
  if (type === 4) o.data = Array.from({ length: w * h }, () => [...bytes(3), 255]).flat()
  return o
}

describe('Surface', () => {
  it('is pixel for pixel what the operations say', () => {
    for (let round = 0; round < 60; round++) {
      const W = 1 + random(70)
      const H = 1 + random(40)
      const surface = new Surface()
      const plain = new Plain(W, H)
      surface.apply(frame(W, H, [], 1))
      for (let f = 0; f < 6; f++) {
        const ops = Array.from({ length: 1 + random(8) }, () => op(W, H))
        surface.dirty.take()
        const before = surface.pixels.slice()
        expect(surface.apply(frame(W, H, ops, 0, f))).toEqual({ kind: 'frame', seq: f, resized: false })
        ops.forEach((o) => plain.apply(o))
        const want = Uint32Array.from(plain.px, ([r, g, b]) => (0xff000000 | (b! << 16) | (g! << 8) | r!) >>> 0)
        expect(surface.pixels).toEqual(want)
        // What is not said to be dirty did not change.
        for (const r of surface.dirty.take()) for (let y = r.y; y < r.y + r.h; y++) before.set(want.subarray(y * W + r.x, y * W + r.x + r.w), y * W + r.x)
        expect(before).toEqual(want)
      }
    }
  })

  it('begins black and opaque, and takes a new size only with a repaint', () => {
    const s = new Surface()
    expect(() => s.apply(frame(2, 2, []))).toThrow(ProtocolError)
    expect(s.apply(frame(2, 2, [], 1))).toMatchObject({ resized: true })
    expect([...s.pixels]).toEqual([0xff000000, 0xff000000, 0xff000000, 0xff000000])
    expect(() => s.apply(frame(3, 2, []))).toThrow(ProtocolError)
  })

  it('refuses what breaks a bound, and then changes nothing', () => {
    const solid = { type: 2, x: 0, y: 0, w: 1, h: 1, data: [1, 2, 3, 0] }
    const bad: Record<string, ArrayBuffer> = {
      nothing: new ArrayBuffer(0),
      'unknown kind': new Uint8Array([9]).buffer,
      'head cut': frame(4, 4, []).slice(0, 15),
      'unknown flag': frame(4, 4, [], 2),
      'no width': frame(0, 4, [], 1),
      'too large': frame(16384, 16384, [], 1),
      'too wide': frame(16385, 1, [], 1),
      'unknown operation': frame(4, 4, [solid, { type: 5, x: 0, y: 0, w: 1, h: 1 }]),
      'empty operation': frame(4, 4, [{ ...solid, w: 0 }]),
      'outside right': frame(4, 4, [solid, { ...solid, x: 4 }]),
      'outside below': frame(4, 4, [{ ...solid, y: 3, h: 2 }]),
      'copy from outside': frame(4, 4, [{ type: 1, x: 0, y: 0, w: 2, h: 2, a: 3 }]),
      'palette of 3 bits': frame(4, 4, [{ type: 3, aux: 3, a: 2, x: 0, y: 0, w: 1, h: 1, data: bytes(7) }]),
      'palette of one colour': frame(4, 4, [{ type: 3, aux: 1, a: 1, x: 0, y: 0, w: 1, h: 1, data: bytes(4) }]),
      'too many colours': frame(4, 4, [{ type: 3, aux: 1, a: 3, x: 0, y: 0, w: 1, h: 1, data: bytes(10) }]),
      'payload cut': frame(4, 4, [solid, { type: 4, x: 0, y: 0, w: 1, h: 1, data: [1, 2, 3] }]),
      'more behind': frame(4, 4, [{ ...solid, data: [1, 2, 3, 0, 0] }]),
      'pointer cut': new Uint8Array([3, 1, 0, 0, 0]).buffer,
      'pointer half visible': new Uint8Array([3, 2, 0, 0, 0, 0]).buffer,
      'cursor cut': new Uint8Array([2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]).buffer,
      'hot spot outside': new Uint8Array([2, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4]).buffer,
    }
    for (const [name, message] of Object.entries(bad)) {
      const s = new Surface()
      s.apply(frame(4, 4, [], 1))
      const before = s.pixels.slice()
      expect(() => s.apply(message), name).toThrow(ProtocolError)
      expect(s.pixels, name).toEqual(before)
    }
  })

  it('survives noise', () => {
    const s = new Surface()
    s.apply(frame(8, 8, [], 1))
    for (let i = 0; i < 3000; i++) {
      const b = new Uint8Array(frame(8, 8, [op(8, 8), op(8, 8)]))
      for (let k = 0; k < 3; k++) b[random(b.length)] = random(random(2) === 0 ? 256 : 4)
      try {
        s.apply(b.slice(0, random(4) === 0 ? random(b.length) : b.length).buffer)
      } catch (e) {
        expect(e).toBeInstanceOf(ProtocolError)
      }
      expect(s.width * s.height).toBe(s.pixels.length)
    }
  })

  it('reads cursors and the pointer', () => {
    const s = new Surface()
    expect(s.apply(new Uint8Array([2, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]).buffer)).toEqual({
      kind: 'cursor',
      cursor: { width: 1, height: 1, hotX: 0, hotY: 0, rgba: new Uint8ClampedArray([1, 2, 3, 4]) },
    })
    expect(s.apply(new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).buffer)).toMatchObject({ cursor: { width: 0 } })
    expect(s.apply(new Uint8Array([3, 1, 5, 0, 0, 1]).buffer)).toEqual({ kind: 'pointer', visible: true, x: 5, y: 256 })
  })
})

describe('Dirty', () => {
  it('joins tiles of a row, and rows', () => {
    const d = new Dirty()
    for (let y = 0; y < 3; y++) for (let x = 0; x < 4; x++) d.add(x * 64, y * 64, 64, 64)
    expect(d.take()).toEqual([{ x: 0, y: 0, w: 256, h: 192 }])
    expect(d.take()).toEqual([])
  })
  it('stays few', () => {
    const d = new Dirty()
    for (let i = 0; i < 500; i++) d.add((i * 37) % 1000, (i * 91) % 1000, 3, 3)
    expect(d.rects.length).toBeLessThanOrEqual(65)
  })
})
