// Input messages, exactly as backend/wire/input.go lays them out, each behind the byte that tells them from
// acknowledgements. One buffer is used again and again: what these functions return is valid until the next call.

export const mod = { shift: 1, control: 2, alt: 4, meta: 8, altGr: 16 } as const
export const maxText = 64
export const notch = 120

const page = { ack: 1, input: 2, refresh: 3 } as const
const kind = { move: 1, button: 2, wheel: 3, key: 4, text: 5, release: 6 } as const

const bytes = new Uint8Array(1 + 4 + maxText)
const view = new DataView(bytes.buffer)
const utf8 = new TextEncoder()
let seq = 0

function begin(of: number, flags: number): void {
  bytes[0] = page.input
  bytes[1] = of
  bytes[2] = flags
  view.setUint16(3, seq, true)
  seq = (seq + 1) & 0xffff
}

export function move(x: number, y: number, buttons: number): Uint8Array<ArrayBuffer> {
  begin(kind.move, 0)
  view.setUint16(5, x, true)
  view.setUint16(7, y, true)
  bytes[9] = buttons
  bytes[10] = 0
  return bytes.subarray(0, 11)
}

/** buttons is the mask after the event. */
export function button(x: number, y: number, buttons: number, which: number): Uint8Array<ArrayBuffer> {
  begin(kind.button, 0)
  view.setUint16(5, x, true)
  view.setUint16(7, y, true)
  bytes[9] = buttons
  bytes[10] = which
  bytes[11] = (buttons >> which) & 1
  bytes[12] = 0
  return bytes.subarray(0, 13)
}

/** dx and dy in 1/120 notch, right and down positive. */
export function wheel(x: number, y: number, dx: number, dy: number): Uint8Array<ArrayBuffer> {
  begin(kind.wheel, 0)
  view.setUint16(5, x, true)
  view.setUint16(7, y, true)
  view.setInt16(9, Math.max(-32768, Math.min(32767, dx)), true)
  view.setInt16(11, Math.max(-32768, Math.min(32767, dy)), true)
  return bytes.subarray(0, 13)
}

export function key(usage: number, down: boolean, mods: number, repeat: boolean): Uint8Array<ArrayBuffer> {
  begin(kind.key, repeat && down ? 1 : 0)
  view.setUint16(5, usage, true)
  bytes[7] = mods
  bytes[8] = down ? 1 : 0
  return bytes.subarray(0, 9)
}

/** s must be what texts() gave. chord: s is one character and stands for the key of a shortcut. */
export function text(s: string, chord: boolean): Uint8Array<ArrayBuffer> {
  begin(kind.text, chord ? 1 : 0)
  const { written } = utf8.encodeInto(s, bytes.subarray(5))
  return bytes.subarray(0, 5 + written)
}

export function release(): Uint8Array<ArrayBuffer> {
  begin(kind.release, 0)
  return bytes.subarray(0, 5)
}

export function ack(frame: number, micros: number): Uint8Array<ArrayBuffer> {
  bytes[0] = page.ack
  view.setUint32(1, frame, true)
  view.setUint32(5, Math.max(0, Math.min(0xffffffff, Math.round(micros))), true)
  return bytes.subarray(0, 9)
}

export function refresh(): Uint8Array<ArrayBuffer> {
  bytes[0] = page.refresh
  return bytes.subarray(0, 1)
}

/** Cuts text into what one message may carry: no control characters but tab and newline, at most 64 bytes, between characters. */
export function texts(s: string): string[] {
  const out: string[] = []
  let part = ''
  let size = 0
  for (const c of s.replace(/\r\n?/g, '\n').replace(/[\ud800-\udfff]/gu, '\ufffd')) {
    const point = c.codePointAt(0) ?? 0
    if ((point < 0x20 && point !== 9 && point !== 10) || (point >= 0x7f && point < 0xa0)) continue
    const n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    if (size + n > maxText) {
      out.push(part)
      part = ''
      size = 0
    }
    part += c
    size += n
  }
  if (part !== '') out.push(part)
  return out
}
