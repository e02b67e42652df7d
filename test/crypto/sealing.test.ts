/** OpenSSL is used where it is there and does the same as node:crypto, and node:crypto is used everywhere else. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { toHex } from '../helpers/bytes.ts'
import { byDefault, byNode, CANDY, skip } from '../helpers/crypto/sealings.ts'
import { ALL, librariesOf } from '../helpers/crypto/libraries.ts'
import { STRIP_TYPES } from '../helpers/programs/executables.ts'
import { loadSealing, randomIvs } from '../../src/crypto/index.ts'
import { sealingBy } from '../../src/crypto/sealing.ts'
import { loadOpenSsl, openSslOf, type OpenSsl } from '../../src/net/native/openssl.ts'

const key = Buffer.alloc(32, 'key ')
const layout = CANDY

/** What is sealed by it, and whether it is opened. */
function tried (sealing: typeof byNode): [sealed: string, isOpened: boolean] {
  const cipher = sealing.cipher({ key, layout })
  const bytes = Buffer.alloc(100, 'text')
  cipher.seal(bytes)
  const sealed = toHex(bytes)
  const isOpened = cipher.open(bytes)
  cipher.close()
  return [sealed, isOpened]
}

t.test('it is found out once', async (t) => {
  t.equal(await loadSealing(), byDefault)
})

t.test('OpenSSL of this process', { skip }, async (t) => {
  t.equal(byDefault.implementation, 'openssl')
  t.equal(byDefault.problem, undefined)
  t.same(tried(byDefault), tried(byNode))
})

t.test('without koffi', async (t) => {
  t.equal(byNode.implementation, 'node:crypto')
  t.equal(byNode.problem?.code, 'ERR_NATIVE_KOFFI')
  t.equal(tried(byNode)[1], true)
})

t.test('a failure of any other kind', async (t) => {
  const sealing = await sealingBy(() => Promise.reject(new Error('of another kind')))
  t.equal(sealing.implementation, 'node:crypto')
  t.match(sealing.problem, { code: 'ERR_NATIVE_OPENSSL', cause: { message: 'of another kind' } })
  t.same(tried(sealing), tried(byNode))
})

t.test('functions that are missing', async (t) => {
  for (const missing of Object.keys(ALL)) {
    const { [missing as keyof typeof ALL]: _, ...rest } = ALL
    const sealing = await sealingBy(async () => openSslOf(librariesOf({ process: rest })))
    t.equal(sealing.implementation, 'node:crypto', missing)
    t.equal(sealing.problem?.code, 'ERR_NATIVE_OPENSSL', missing)
    t.same(tried(sealing), tried(byNode), missing)
  }
})

t.test('what cannot be used', async (t) => {
  const useless: Array<[name: string, functions: Record<string, number | bigint>]> = [
    ['an old version', { ...ALL, OPENSSL_version_major: 1 }],
    ['no memory', { ...ALL, EVP_CIPHER_CTX_new: 0 }],
    ['no AES', { ...ALL, EVP_CipherInit_ex: 0 }],
    ['addresses that no number can hold', { ...ALL, EVP_CIPHER_CTX_new: 0xb400_0000_0000_1001n }],
    ['functions that do nothing', ALL]
  ]
  for (const [name, functions] of useless) {
    const sealing = await sealingBy(async () => openSslOf(librariesOf({ process: functions })))
    t.equal(sealing.implementation, 'node:crypto', name)
    t.equal(sealing.problem?.code, 'ERR_NATIVE_OPENSSL', name)
  }
})

t.test('functions that do something else than node:crypto', { skip }, async (t) => {
  const openssl = await loadOpenSsl()
  const other = Buffer.alloc(32, 9)
  const finish = (_: number, into: number): boolean => into === 0
  const wrong: Record<string, Partial<OpenSsl>> = {
    'encrypts nothing': { cipher: (context, into, from, length) => finish(context, into) ? openssl.cipher(context, into, from, length) : length },
    'encrypts less': { cipher: (context, into, from, length) => openssl.cipher(context, into, from, Math.min(length, 1360)) },
    'accepts every tag': { cipher: (context, into, from, length) => Math.max(0, openssl.cipher(context, into, from, length)) },
    'accepts no tag': { cipher: (context, into, from, length) => finish(context, into) ? -1 : openssl.cipher(context, into, from, length) },
    'takes no IV': { init: (context, cipher, engine, key, iv, encrypt) => cipher === 0 ? 1 : openssl.init(context, cipher, engine, key, iv, encrypt) },
    'gives no tag': { control: () => 1 },
    throws: { control: () => { throw new Error('no') } },
    'another key': { init: (context, cipher, engine, key, iv, encrypt) => openssl.init(context, cipher, engine, key === 0 ? 0 : openssl.address(other), iv, encrypt) },
    'another address': { address: (bytes) => openssl.address(bytes.slice()) }
  }
  for (const [name, functions] of Object.entries(wrong)) {
    let contexts = 0
    const sealing = await sealingBy(async () => ({
      ...openssl,
      newContext () { contexts++; return openssl.newContext() },
      freeContext (context) { contexts--; openssl.freeContext(context) },
      ...functions
    }))
    t.equal(sealing.implementation, 'node:crypto', name)
    t.equal(sealing.problem?.code, 'ERR_NATIVE_OPENSSL', name)
    t.same(tried(sealing), tried(byNode), name)
    t.equal(contexts, 0, `${name}: nothing is left of the test`)
  }
})

t.test('a failure of OpenSSL later is no success', { skip }, async (t) => {
  const openssl = await loadOpenSsl()
  let isBroken = false
  const sealing = await sealingBy(async () => ({ ...openssl, init: (...values) => isBroken ? 0 : openssl.init(...values) }))
  const cipher = sealing.cipher({ key, layout })
  const bytes = Buffer.alloc(100, 'text')
  cipher.seal(bytes)
  isBroken = true
  t.equal(cipher.open(Buffer.from(bytes)), false)
  t.throws(() => { cipher.seal(bytes) }, { name: 'SealingError', code: 'ERR_SEALING_FAILED' })
  t.throws(() => sealing.cipher({ key, layout }), { name: 'SealingError', code: 'ERR_SEALING_FAILED' })
  t.equal(cipher.sealed, 1)
  isBroken = false
  t.ok(cipher.open(bytes))
  cipher.close()
})

t.test('OpenSSL is told to wipe and free the key: by close, once, and when a cipher is collected', { skip }, async (t) => {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const openssl = await loadOpenSsl()
  const open = new Set<number>()
  const sealing = await sealingBy(async () => ({
    ...openssl,
    newContext () { const context = openssl.newContext(); open.add(context); return context },
    freeContext (context) {
      if (!open.delete(context)) throw new Error('freed twice')
      openssl.freeContext(context)
    }
  }))
  t.equal(open.size, 0, 'nothing is left of the test')
  const cipher = sealing.cipher({ key, layout })
  t.equal(open.size, 2, 'one for each direction')
  cipher.close()
  cipher.close()
  t.equal(open.size, 0)
  const leave = (): void => { // a function of its own, whose frame is gone afterwards
    for (let i = 0; i < 100; i++) {
      const cipher = sealing.cipher({ key, layout })
      cipher.seal(Buffer.alloc(100))
      if (i % 2 === 0) cipher.close()
    }
  }
  leave()
  t.equal(open.size, 100)
  for (let turn = 0; turn < 100 && open.size > 0; turn++) {
    collect()
    await nextTurn()
  }
  t.equal(open.size, 0)
  for (let turn = 0; turn < 5; turn++) { // also those that were closed before
    collect()
    await nextTurn()
  }
})

t.test('no error is left in the queue of OpenSSL, where Node would find it', { skip }, async (t) => {
  const peek = (await import('koffi')).default.load(null).func('ERR_peek_error', 'ulong', [])
  const cipher = byDefault.cipher({ key, layout })
  for (let i = 0; i < 100; i++) cipher.open(Buffer.alloc(28 + i, i))
  cipher.close()
  t.equal(Number(peek()), 0)
})

const middle = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Bytes that one datagram allocates, sealed and opened: those of the heap, and those outside of it. A collection makes few values wrong. */
function allocated (sealing: typeof byNode): { heap: number, external: number } {
  const cipher = sealing.cipher({ key, layout, ivs: randomIvs() })
  const bytes = Buffer.alloc(1388)
  const calls = 200
  const slices = Array.from({ length: 101 }, () => {
    const before = process.memoryUsage()
    for (let i = 0; i < calls; i++) {
      cipher.seal(bytes)
      if (!cipher.open(bytes)) throw new Error('not opened')
    }
    const after = process.memoryUsage()
    return { heap: (after.heapUsed - before.heapUsed) / calls, external: (after.external - before.external) / calls }
  })
  cipher.close()
  return { heap: middle(slices.map(({ heap }) => heap)), external: middle(slices.map(({ external }) => external)) }
}

t.test('no object is allocated for a datagram', { skip }, async (t) => {
  const [ours, others] = [byDefault, byNode].map(allocated)
  t.ok(ours.heap < 400, `heap: ${ours.heap} bytes`) // numbers that are addresses, 16 bytes each
  t.equal(ours.external, 0)
  t.ok(others.heap > 1000, `heap by node:crypto: ${others.heap} bytes, so objects are seen`)
  t.ok(others.external > 1000, `outside: ${others.external} bytes`)
})

t.test('each thread has its own', { skip }, async (t) => {
  const code = `
    import { parentPort, workerData } from 'node:worker_threads'
    const { loadSealing } = await import(workerData.url)
    const { implementation, cipher } = await loadSealing()
    const one = cipher(workerData)
    let failed = 0
    for (let i = 0; i < 2000; i++) {
      const bytes = Buffer.alloc(100, i)
      const before = Buffer.from(bytes)
      one.seal(bytes)
      if (!one.open(bytes) || !bytes.subarray(28).equals(before.subarray(28))) failed++
    }
    one.close()
    parentPort.postMessage({ implementation, failed })
  `
  const url = new URL('../../src/crypto/index.ts', import.meta.url).href
  const answers = await Promise.all([1, 2].map((n) => new Promise((resolve, reject) => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [...STRIP_TYPES], workerData: { url, key: Buffer.alloc(32, n), layout } })
    worker.once('message', resolve).once('error', reject)
  })))
  t.same(answers, Array(2).fill({ implementation: 'openssl', failed: 0 }))
  t.equal(tried(byDefault)[1], true)
})
