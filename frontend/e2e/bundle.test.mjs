// The product's bundle: no scripted native side in it, no inline script, nothing from elsewhere.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('the product contains neither the fake nor an inline script', () => {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const out = mkdtempSync(join(tmpdir(), 'daypass-page-'))
  try {
    execFileSync(process.execPath, ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'error', '--outDir', out, '--emptyOutDir'], { cwd: root })
    const html = readFileSync(join(out, 'index.html'), 'utf8')
    assert.match(html, /<script type="module"[^>]* src="\/assets\//)
    assert.doesNotMatch(html, /<script(?![^>]*src=)|\son\w+=|https?:/)
    const all = readdirSync(join(out, 'assets')).map((f) => readFileSync(join(out, 'assets', f), 'utf8'))
    assert.ok(all.length > 0)
    for (const text of all) for (const trace of ['daypassFake', 'PC-ANNA', 'anna.weber@example.org', 'FakeBackend', 'contoso']) assert.ok(!text.includes(trace), trace)
    assert.ok(all.some((text) => text.includes('snapshot')))
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
})
