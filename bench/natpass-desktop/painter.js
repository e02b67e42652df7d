/** An X program that paints 6 x 4 blocks anew, 10 % of a screen of 1280 x 720, 60 times a second while it is told to. */
import { createClient } from 'x11'
import { report } from '../lib/child.js'

const [LEFT, TOP, WIDTH, HEIGHT] = [64, 64, 384, 256]
/** Rows that fit into one request. */
const ROWS = 128
const PERIOD = 1000 / 60
const Z_PIXMAP = 2
const COPY_FROM_PARENT = 0

let isPainting = false
let painted = 0

const { client, screen: [{ root }] } = await new Promise((resolve, reject) => {
  createClient((err, display) => {
    if (err) reject(err)
    else resolve(display)
  })
})
const [window, context] = [client.AllocID(), client.AllocID()]
client.CreateWindow(window, root, LEFT, TOP, WIDTH, HEIGHT, 0, COPY_FROM_PARENT, COPY_FROM_PARENT, COPY_FROM_PARENT, { overrideRedirect: true, backgroundPixel: 0 })
client.CreateGC(context, window)
client.MapWindow(window)

/** Slopes and edges, other ones each time. */
function paint () {
  painted++
  for (let top = 0; top < HEIGHT; top += ROWS) {
    const stripe = Buffer.alloc(WIDTH * ROWS * 4)
    for (let y = 0, at = 0; y < ROWS; y++) {
      for (let x = 0; x < WIDTH; x++, at += 4) stripe.writeUInt32LE(((x + painted & 0xff) << 16) | ((y + top + 3 * painted & 0xff) << 8) | ((x >> 3 ^ y >> 3) + painted & 0xff), at)
    }
    client.PutImage(Z_PIXMAP, window, context, WIDTH, ROWS, 0, top, 0, 24, stripe)
  }
}

setInterval(() => { if (isPainting) paint() }, PERIOD)
process.on('message', ({ paint }) => { isPainting = paint ?? isPainting })
report(0, () => painted)
