/* global DesktopScreen, document, listenToKeys, listenToPointer, location, setTimeout, WebSocket */
// The page of a desktop: it opens one, shows it, and says what has become of it.

/** Milliseconds between two attempts to attach again, and how many. */
const RETRY = 1000
const ATTEMPTS = 8

/** The close code of a desktop that was opened in another tab. */
const ELSEWHERE = 4001

const element = (id) => document.getElementById(id)
const [canvas, typing, state, again] = ['screen', 'typing', 'state', 'again'].map(element)

let id
let socket
/** What the last message has said: the desktop is over. */
let lost

function say (text, isProblem = false) {
  state.textContent = text
  state.className = isProblem ? 'problem' : ''
  again.hidden = !isProblem || id !== undefined
}

function end (text) {
  id = undefined
  say(text, true)
}

const choice = () => new URLSearchParams({ quality: element('quality').value, show_cursor: element('cursor').checked })

/** The answer as text. @throws {Error} with what it says, when it is no good one */
async function ask (path, init) {
  let answer
  try {
    answer = await fetch(path, init)
  } catch {
    throw new Error('The program behind this page does not answer')
  }
  if (answer.status === 401) location.reload()
  const text = await answer.text()
  if (!answer.ok) throw new Error(text.trim())
  return text
}

const post = (path, body) => ask(path, { method: 'POST', body })

async function open () {
  lost = undefined
  say('connecting')
  again.hidden = true
  try {
    id = await post('/new', choice())
    attach(ATTEMPTS)
  } catch ({ message }) {
    end(`There is no desktop: ${message}.`)
  }
}

/** @param attempts - how often to try again when the WebSocket is lost */
function attach (attempts) {
  const attached = socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/${id}`)
  attached.binaryType = 'arraybuffer'
  attached.onopen = () => { say('waiting for a picture') }
  attached.onmessage = async ({ data }) => {
    if (typeof data === 'string') {
      lost = JSON.parse(data).reason
      return
    }
    attempts = ATTEMPTS
    const isShown = await screen.show(data)
    if (attached !== socket || attached.readyState !== WebSocket.OPEN) return
    send('drawn', { bytes: data.byteLength })
    if (isShown) say('')
    else say('A part of the picture cannot be shown.', true)
  }
  attached.onclose = ({ code }) => {
    if (attached !== socket) return
    if (lost !== undefined) end(`The desktop is gone: ${lost}.`)
    else if (code === ELSEWHERE) end('This desktop was opened in another tab.')
    else if (attempts === 0) end('Connection lost.')
    else {
      say('connection lost, trying again', true)
      setTimeout(attach, RETRY, attempts - 1)
    }
  }
}

function send (action, payload) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ action, payload }))
}

const screen = new DesktopScreen(canvas, (rate) => { element('rate').textContent = id === undefined ? '' : rate })
listenToPointer(canvas, send)
listenToKeys(canvas, typing, send, () => { element('quality').focus() })

again.onclick = () => {
  open()
  canvas.focus()
}

const choose = async () => {
  if (id === undefined) return
  try {
    await post('/ctrl', choice())
  } catch ({ message }) {
    say(`${message}.`, true)
  }
}
element('quality').onchange = choose
element('cursor').onchange = choose
element('cad').onclick = () => {
  send('cad')
  canvas.focus()
}

element('keyboard').onclick = ({ target }) => {
  typing.hidden = !typing.hidden
  target.setAttribute('aria-pressed', String(!typing.hidden))
  if (typing.hidden) canvas.focus()
  else typing.focus()
}

element('full').onclick = async () => {
  try {
    await document.querySelector('main').requestFullscreen()
    canvas.focus()
    await navigator.keyboard?.lock?.() // Escape and Alt+Tab are for the desktop as well; Escape held down leaves
  } catch {
    // refused: it stays as it is
  }
}

const [dialog, text, told] = ['clipboard-dialog', 'clipboard-text', 'clipboard-state'].map(element)

/** @param work - settles with what is said then */
const tell = async (work) => {
  told.textContent = ''
  try {
    told.textContent = await work()
  } catch ({ message }) {
    told.textContent = `${message}.`
  }
}
element('clipboard').onclick = () => {
  told.textContent = ''
  dialog.showModal()
}
element('clipboard-get').onclick = () => tell(async () => {
  text.value = await ask('/clipboard')
  text.select()
  return 'This is what the desktop has.'
})
element('clipboard-set').onclick = () => tell(async () => {
  await post('/clipboard', new URLSearchParams({ data: text.value }))
  return 'The desktop has it.'
})
dialog.onclose = () => { canvas.focus() }

canvas.focus()
open()
