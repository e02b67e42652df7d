/**
 * What a measured relay tells the program that measures it, over the IPC channel of `fork`. The relays are plain JavaScript,
 * so that no loader which compiles on the fly costs them speed and memory.
 *
 * @typedef {object} Usage
 * @property {number} cpu microseconds of processor time, user and system, since the start
 * @property {number} rss bytes of resident memory
 * @property {number} heap bytes of it that the program has allocated
 * @property {number} dropped packets that were not delivered
 */

/** Says that the relay listens, and answers every message with its usage. */
export function report (port, dropped) {
  process.on('message', ({ collect }) => {
    if (collect) for (let i = 0; i < 3; i++) globalThis.gc()
    const { user, system } = process.cpuUsage()
    const { rss, heapUsed, external } = process.memoryUsage()
    process.send({ cpu: user + system, rss, heap: heapUsed + external, dropped: dropped() })
  })
  process.on('disconnect', () => { process.exit() })
  process.send({ port })
}
