(function () {
  'use strict'
  var root = document.documentElement, d = document, each = function (q, f) { Array.prototype.forEach.call(d.querySelectorAll(q), f) }
  var A = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
  function b32(s) { // Crockford base32 of ASCII, no padding
    var o = '', v = 0, n = 0
    for (var i = 0; i < s.length; i++) { v = (v << 8 | s.charCodeAt(i)) & 0xfffff; n += 8; while (n >= 5) { n -= 5; o += A[v >> n & 31] } }
    return n ? o + A[v << (5 - n) & 31] : o
  }
  // The password is in the fragment, which no server gets. It leaves the
  // address bar, so that it is in no screenshot and no history.
  var secret = location.hash.slice(1).toUpperCase().replace(/[IL]/g, '1').replace(/O/g, '0').replace(/-/g, '')
  if (location.hash) history.replaceState(null, '', location.pathname)
  var ok = /^[0-9A-HJKMNP-TV-Z]{25}[048CGMRW]$/.test(secret), id = d.body.getAttribute('data-id') || ''
  var u = navigator.userAgent, touch = navigator.maxTouchPoints > 1
  var phone = /Android|iPhone|iPad|iPod|Mobile/.test(u) || (/Macintosh/.test(u) && touch)
  var os = phone ? 'phone' : /Windows/.test(u) ? 'windows' : /Linux|X11/.test(u) && !/CrOS/.test(u) ? 'linux' : 'other'
  var browser = /Edg\//.test(u) ? 'edge' : /Firefox\//.test(u) ? 'firefox' : /Chrom(e|ium)\//.test(u) ? 'chrome' : 'anybrowser'
  root.className = ['js', os, browser, ok ? 'haslink' : 'nolink'].join(' ')
  if (ok) {
    var name = 'Support_' + b32((location.protocol === 'https:' ? 's' : 'h') + location.host) + '_' + id + '_' + secret + '_'
    each('a.get', function (a) {
      if (a.getAttribute('data-arm') && /aarch64|arm64/i.test(navigator.platform + u)) a.setAttribute('href', a.getAttribute('data-arm'))
      a.setAttribute('download', name + a.getAttribute('data-ext'))
    })
  }
  var link = location.origin + location.pathname + '#' + secret
  function copier(button, text) {
    var words = button.textContent
    button.addEventListener('click', function () {
      function done() { button.textContent = button.getAttribute('data-done'); setTimeout(function () { button.textContent = words }, 2000) }
      function old() {
        var t = d.createElement('textarea')
        t.value = text; t.setAttribute('readonly', ''); d.body.appendChild(t); t.select()
        if (d.execCommand('copy')) done()
        t.remove()
      }
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, old)
      else old()
    })
  }
  each('.copy', function (b) { copier(b, d.getElementById('cmd').textContent) })
  each('.share', function (b) { copier(b, link) })
  each('#until', function (t) {
    var w = new Date(t.getAttribute('datetime'))
    if (!isNaN(w)) t.textContent = w.toLocaleString(root.lang, { weekday: 'long', hour: '2-digit', minute: '2-digit' })
  })

  // QR code (ISO/IEC 18004), version 6-L, byte mode, mask 0: 134 bytes are
  // enough for a link, and one version needs no tables.
  function qr(s) {
    var bytes = [], N = 41, i, j, k
    s = unescape(encodeURIComponent(s))
    if (s.length > 134) return null
    var bits = [], put = function (v, n) { while (n--) bits.push(v >> n & 1) }
    put(4, 4); put(s.length, 8)
    for (i = 0; i < s.length; i++) put(s.charCodeAt(i), 8)
    put(0, 4); while (bits.length % 8) bits.push(0)
    for (i = 0; i < bits.length; i += 8) bytes.push(parseInt(bits.slice(i, i + 8).join(''), 2))
    for (i = 0; bytes.length < 136; i++) bytes.push(i % 2 ? 17 : 236)
    var exp = [], log = []
    for (i = 0, j = 1; i < 255; i++) { exp[i] = j; log[j] = i; j <<= 1; if (j > 255) j ^= 285 }
    var mul = function (a, b) { return a && b ? exp[(log[a] + log[b]) % 255] : 0 }
    var gen = [1]
    for (i = 0; i < 18; i++) { var g = gen.concat(0); for (j = 0; j < gen.length; j++) g[j + 1] ^= mul(gen[j], exp[i]); gen = g }
    var blocks = [bytes.slice(0, 68), bytes.slice(68)], ecc = blocks.map(function (b) {
      var r = b.concat(new Array(18).fill(0))
      for (var x = 0; x < 68; x++) for (var y = 1, f = r[x]; y < 19; y++) r[x + y] ^= mul(gen[y], f)
      return r.slice(68)
    })
    var all = []
    for (i = 0; i < 68; i++) all.push(blocks[0][i], blocks[1][i])
    for (i = 0; i < 18; i++) all.push(ecc[0][i], ecc[1][i])
    var m = [], used = []
    for (i = 0; i < N; i++) { m.push(new Array(N).fill(0)); used.push(new Array(N).fill(0)) }
    var set = function (r, c, v) { if (r >= 0 && c >= 0 && r < N && c < N) { m[r][c] = v ? 1 : 0; used[r][c] = 1 } }
    for (i = 8; i < N - 8; i++) { set(6, i, i % 2 === 0); set(i, 6, i % 2 === 0) }
    ;[[0, 0], [0, N - 7], [N - 7, 0]].forEach(function (p) {
      for (var r = -1; r < 8; r++) for (var c = -1; c < 8; c++) {
        var e = Math.max(Math.abs(r - 3), Math.abs(c - 3))
        set(p[0] + r, p[1] + c, e !== 2 && e !== 4)
      }
    })
    for (i = -2; i < 3; i++) for (j = -2; j < 3; j++) set(34 + i, 34 + j, Math.max(Math.abs(i), Math.abs(j)) !== 1)
    var fmt = '111011111000100'
    for (i = 0; i < 15; i++) {
      var f = fmt[i] === '1'
      if (i < 6) set(8, i, f); else if (i === 6) set(8, 7, f); else if (i === 7) set(8, 8, f); else if (i === 8) set(7, 8, f); else set(14 - i, 8, f)
      if (i < 7) set(N - 1 - i, 8, f); else set(8, N - 15 + i, f)
    }
    set(N - 8, 8, 1)
    for (k = 0, i = N - 1; i > 0; i -= 2) {
      if (i === 6) i--
      var up = ((N - 1 - i) >> 1) % 2 === 0
      if (i < 6) up = ((N - 2 - i) >> 1) % 2 === 0
      for (j = 0; j < N; j++) for (var c = i; c > i - 2; c--) {
        var r = up ? N - 1 - j : j
        if (used[r][c]) continue
        m[r][c] = (k < 1376 ? all[k >> 3] >> (7 - k % 8) & 1 : 0) ^ ((r + c) % 2 === 0 ? 1 : 0)
        k++
      }
    }
    return m
  }
  each('.qr', function (box) {
    var m = ok && os === 'phone' && qr(link)
    if (!m) return
    var p = '', ns = 'http://www.w3.org/2000/svg', svg = d.createElementNS(ns, 'svg'), path = d.createElementNS(ns, 'path')
    m.forEach(function (row, y) { row.forEach(function (v, x) { if (v) p += 'M' + (x + 4) + ' ' + (y + 4) + 'h1v1h-1z' }) })
    svg.setAttribute('viewBox', '0 0 49 49'); svg.setAttribute('shape-rendering', 'crispEdges'); path.setAttribute('d', p); path.setAttribute('fill', '#000')
    svg.appendChild(path); box.appendChild(svg)
    each('.qr-words', function (w) { w.hidden = false })
  })
})()
