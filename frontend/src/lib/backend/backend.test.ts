import { afterEach, describe, expect, it, vi } from 'vitest'
import { BackendError, toFault } from './backend'
import { createNative, lists } from './real'
import { scenarios } from './fake/scenarios'

vi.mock('./viewer', () => ({ openViewer: () => undefined }))

const native = window as unknown as Record<string, unknown>
afterEach(() => {
  delete native.go
  delete native.runtime
})

describe('toFault', () => {
  it('reads a fault from JSON, a text and an Error', () => {
    const fault = { kind: 'limit', message: 'All places are taken', hint: 'End one.', details: '{"holders":[]}', op: 'create' }
    expect(toFault(JSON.stringify(fault))).toEqual(fault)
    expect(toFault(new Error(JSON.stringify(fault)))).toEqual(fault)
    expect(toFault(new BackendError(fault))).toBe(fault)
    expect(toFault({ ...fault, details: { holders: [] } }).details).toBe('{"holders":[]}')
  })
  it('never throws and keeps what it cannot read as details', () => {
    for (const odd of ['boom', '', undefined, null, 7, '{"kind":1}', '[]', new Error('x')]) expect(toFault(odd)).toMatchObject({ kind: 'internal' })
    expect(toFault('boom').details).toBe('boom')
  })
})

describe('lists', () => {
  it('turns null into empty lists where lists are promised, at any depth', () => {
    expect(lists({ sessions: [{ waiting: null, code: null, remote: { displays: null } }], notices: null, fatal: null })).toEqual({
      sessions: [{ waiting: [], code: null, remote: { displays: [] } }],
      notices: [],
      fatal: null,
    })
  })
})

describe('the real native side', () => {
  it('takes the first state and each event, never an older one', async () => {
    const emit: ((s: unknown) => void)[] = []
    const off = vi.fn()
    native.runtime = { EventsOn: (name: string, f: (s: unknown) => void) => (expect(name).toBe('snapshot'), emit.push(f), off) }
    native.go = { console: { Shell: { Snapshot: async () => ({ ...scenarios.empty!(), rev: 3, sessions: null }) } } }
    const seen: number[] = []
    const stop = createNative().backend.subscribe((s) => seen.push(s.rev))
    emit[0]?.({ ...scenarios.empty!(), rev: 5 })
    await new Promise((resolve) => setTimeout(resolve))
    emit[0]?.({ ...scenarios.empty!(), rev: 4 })
    emit[0]?.({ ...scenarios.empty!(), rev: 6 })
    expect(seen).toEqual([5, 6])
    stop()
    expect(off).toHaveBeenCalledOnce()
    emit[0]?.({ ...scenarios.empty!(), rev: 7 })
    expect(seen).toEqual([5, 6])
  })
  it('says so when there is no native side at all', async () => {
    const phase = await new Promise((resolve) => createNative().backend.subscribe((s) => resolve(s.phase)))
    expect(phase).toBe('fatal')
  })
  it('passes arguments in the order of the contract and throws faults', async () => {
    const Correct = vi.fn(async () => undefined)
    const End = vi.fn(async () => Promise.reject('{"kind":"offline","message":"No server","hint":"","details":""}'))
    native.go = { console: { Sessions: { Correct, End } } }
    const { backend } = createNative()
    await backend.sessions.correct('a', 'b@c.de', 'B')
    expect(Correct).toHaveBeenCalledWith('a', 'b@c.de', 'B')
    await expect(backend.sessions.end('a')).rejects.toMatchObject({ fault: { kind: 'offline', message: 'No server' } })
    await expect(backend.sessions.newCode('a')).rejects.toBeInstanceOf(BackendError)
  })
})
