/* global document, FitAddon, location, requestAnimationFrame, ResizeObserver, sessionStorage, setTimeout, Terminal, WebSocket */
// The page of a terminal: it opens a shell, or attaches again to the one that this tab had, and says what has become of it.

/** Milliseconds between two attempts to attach again, and after which there is no shell any more to attach to. */
const RETRY = 500
const KEEP = 30_000

/** Characters of one message: an input of any size is sent in pieces. */
const PIECE = 16 * 1024

/** The close code of a shell that was opened in another tab. */
const ELSEWHERE = 4001

const KEY = 'shell'

const state = document.getElementById('state')
const terminal = new Terminal({ cursorBlink: true, scrollback: 10_000 })
const fit = new FitAddon.FitAddon()
const encoder = new TextEncoder()

/** The shell, until it has ended. */
let id = sessionStorage.getItem(KEY)
/** How much of its output the terminal has. */
let position = 0
let socket
/** The page was loaded again: output is shown that was shown before, and answers of the terminal to it are old as well. */
let isReload = id !== null
let isReplaying = false
/** The last words about a shell that has ended. */
let isOver = false

function say (text, isProblem = false) {
  state.textContent = text
  state.className = isProblem ? 'problem' : ''
}

const post = (path, form = {}) => fetch(path, { method: 'POST', body: new URLSearchParams(form) })

function forget () {
  id = null
  sessionStorage.removeItem(KEY)
}

function end (text) {
  forget()
  isOver = true
  say(`${text} Press Enter for a new one.`, true)
}

/** Whether the shell is there, with the size of this terminal from now on. */
async function resize () {
  const answer = await post('/resize', { id, rows: terminal.rows, cols: terminal.cols })
  if (answer.status === 401) location.reload()
  return answer.ok
}

async function open () {
  isOver = isReload = false
  position = 0
  say('connecting')
  try {
    const answer = await post('/new')
    if (answer.status === 401) location.reload()
    const text = await answer.text()
    if (!answer.ok) {
      end(`There is no shell: ${text.trim()}.`)
      return
    }
    id = text
    sessionStorage.setItem(KEY, id)
  } catch {
    end('The program behind this page does not answer.')
    return
  }
  await resize().catch(() => {})
  attach(performance.now())
}

/** @param since - when the shell was last attached */
function attach (since) {
  const attached = socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/${id}?from=${position}`)
  attached.binaryType = 'arraybuffer'
  attached.onmessage = ({ data }) => {
    since = performance.now()
    if (typeof data === 'string') told(JSON.parse(data))
    else show(new Uint8Array(data))
  }
  attached.onclose = ({ code }) => {
    if (attached !== socket || isOver) return
    if (code === ELSEWHERE) end('This shell was opened in another tab.')
    else setTimeout(again, RETRY, since)
  }
}

/** The WebSocket is lost: the shell may still be there. */
async function again (since) {
  say('connection lost, trying again', true)
  try {
    if (await resize()) attach(since)
    else end('The shell is gone.')
  } catch {
    if (performance.now() - since < KEEP) setTimeout(again, RETRY, since)
    else end('Connection lost.')
  }
}

/** Bytes of a replay that are still to come. */
let replay = 0

function told (message) {
  if (message.type === 'attached') {
    say('')
    position = message.position - message.replay
    replay = message.replay
    isReplaying = isReload && replay > 0
    isReload = false
    if (message.lost > 0) terminal.write(`\r\n[${message.lost} bytes of output are not kept]\r\n`)
  } else if (message.type === 'exit') {
    end(message.signal === undefined ? `The shell has exited${message.code === undefined ? '' : ` with code ${message.code}`}.` : `The shell was ended by signal ${message.signal}.`)
  } else if (message.type === 'waiting') {
    say('connection to the shell lost, trying again', true)
  } else if (message.type === 'back') {
    say('')
  } else if (message.type === 'lost') {
    end(`Connection lost: ${message.reason}.`)
  }
}

function show (bytes) {
  position += bytes.length
  replay -= bytes.length
  const isLastOfReplay = isReplaying && replay <= 0
  terminal.write(bytes, () => { if (isLastOfReplay) isReplaying = false })
}

function send (bytes) {
  if (socket?.readyState === WebSocket.OPEN && !isReplaying) socket.send(bytes)
}

terminal.onData((text) => {
  if (isOver) {
    if (text !== '\r') return
    terminal.reset()
    open()
    return
  }
  for (let at = 0; at < text.length;) {
    // No character is cut in two.
    const size = /[\ud800-\udbff]/.test(text[at + PIECE - 1] ?? '') ? PIECE - 1 : PIECE
    send(encoder.encode(text.slice(at, at + size)))
    at += size
  }
})

terminal.onBinary((text) => { send(Uint8Array.from(text, (char) => char.charCodeAt(0))) })

// Ctrl+C is for the shell. Pasting works by itself: Ctrl+Shift+V, Shift+Insert, the middle button.
terminal.attachCustomKeyEventHandler((event) => {
  const isCopy = event.type === 'keydown' && event.ctrlKey && event.shiftKey && event.code === 'KeyC' && terminal.hasSelection()
  if (!isCopy) return !(event.ctrlKey && event.shiftKey && event.code === 'KeyV')
  event.preventDefault()
  document.execCommand('copy')
  return false
})

terminal.loadAddon(fit)
terminal.open(document.getElementById('terminal'))
fit.fit()
let isFitting = false
new ResizeObserver(() => {
  if (isFitting) return
  isFitting = true
  requestAnimationFrame(() => {
    isFitting = false
    fit.fit()
  })
}).observe(document.getElementById('terminal'))

/** One request at a time; the last size counts. */
let isResizing = false
let isResizeWanted = false
terminal.onResize(async () => {
  isResizeWanted = true
  if (isResizing) return
  isResizing = true
  do {
    isResizeWanted = false
    if (id !== null) await resize().catch(() => {})
  } while (isResizeWanted)
  isResizing = false
})

if (id === null) open()
else resize().then((isThere) => { if (isThere) attach(performance.now()); else open() }, () => { again(performance.now()) })
terminal.focus()
