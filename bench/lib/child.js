/**
 * What a measured program tells the one that measures it, over the IPC channel of `fork`. They are plain JavaScript,
 * so that no loader which compiles on the fly costs them speed and memory.
 *
 * @typedef {object} Usage
 * @property {number} cpu microseconds of processor time, user and system, since the start
 * @property {number} rss bytes of resident memory
 * @property {number} heap bytes of it that the program has allocated
 * @property {number} count what the program counts: packets that it has dropped, say
 */

/** Says that the program listens, and answers each message with `collect` with its usage. */
export function report (port, count) {
  process.on('message', ({ collect }) => {
    if (collect === undefined) return
    if (collect) for (let i = 0; i < 3; i++) globalThis.gc()
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed, external } = process.memoryUsage()
    process.send({ cpu: user + system, rss, heap: heapUsed + external, count: count() })
  })
  process.on('disconnect', () => { process.exit() })
  process.send({ port })
}
