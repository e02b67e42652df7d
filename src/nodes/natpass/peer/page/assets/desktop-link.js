/* global clearTimeout, location, performance, setTimeout, WebSocket */
// The way to the desktop: opened, attached to again when the WebSocket is lost, and opened again when the desktop itself is gone.

/** Milliseconds until the first attempt to connect again, twice as long for each that follows, and at most; how many there are. */
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 30_000
const ATTEMPTS = 10

/** Milliseconds after which a desktop counts as one that works, so that pauses are short again. */
const STEADY = 30_000

/** The close code, and the status, of a desktop that was opened in another tab. */
const ELSEWHERE = 4001
const CONFLICT = 409

/** The answer as text. @throws {Error} with what it says and its `status`, when it is no good one */
globalThis.ask = async (path, init) => {
  let answer
  try {
    answer = await fetch(path, init)
  } catch {
    throw new Error('The program behind this page does not answer')
  }
  if (answer.status === 401) location.reload()
  const text = await answer.text()
  if (!answer.ok) throw Object.assign(new Error(text.trim()), { status: answer.status })
  return text
}

globalThis.post = (path, body) => globalThis.ask(path, { method: 'POST', body })

globalThis.DesktopLink = class {
  #init
  #id
  #socket
  /** What the last message has said: the desktop is over. */
  #lost
  #attachedAt = 0
  #attempts = 0
  #timer
  /** Another one with each desktop that the user wants: what an attempt before it brings is too late. */
  #turn

  /**
   * @param init - `choice` gives quality and pointer; `onState` is called with `busy`, `waiting` (for a picture), `lost` (it tries again) or
   * `over`, and a text; `onPicture` with each message of a picture
   */
  constructor (init) { this.#init = init }

  get isOpen () { return this.#socket?.readyState === WebSocket.OPEN }

  /** Opens a desktop, also in place of one in another tab. */
  async open () {
    clearTimeout(this.#timer)
    this.#attempts = 0
    this.#init.onState('busy', 'connecting')
    await this.#connect('/new', (text) => { this.#over(text) })
  }

  /** @returns whether it is on its way */
  send (action, payload) {
    if (this.isOpen) this.#socket.send(JSON.stringify({ action, payload }))
    return this.isOpen
  }

  #attach (id) {
    this.#id = id
    this.#lost = undefined
    const attached = this.#socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws/${id}`)
    attached.binaryType = 'arraybuffer'
    attached.onopen = () => {
      this.#attachedAt = performance.now()
      this.#init.onState('waiting', 'waiting for a picture')
    }
    attached.onmessage = ({ data }) => {
      if (typeof data === 'string') this.#lost = JSON.parse(data).reason
      else this.#init.onPicture(data)
    }
    attached.onclose = ({ code }) => {
      if (attached !== this.#socket) return
      if (code === ELSEWHERE) return this.#elsewhere()
      if (performance.now() - this.#attachedAt > STEADY) this.#attempts = 0
      this.#pause(this.#lost === undefined ? 'Connection lost.' : `The desktop is gone: ${this.#lost}.`)
    }
  }

  #pause (text) {
    if (this.#attempts === ATTEMPTS) return this.#over(text)
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#attempts++, LONGEST_PAUSE)
    this.#init.onState('lost', `${text} Trying again in ${pause / 1000} second${pause === 1000 ? '' : 's'}.`)
    this.#timer = setTimeout(() => { this.#again() }, pause)
  }

  /** The desktop may still be there; else another one is opened, but not in place of one in another tab. */
  async #again () {
    this.#init.onState('lost', 'trying again')
    await this.#connect(`/new?again=${this.#id}`, (text) => { this.#pause(text) })
  }

  /** @param onFailure - called with what is said when there is no desktop */
  async #connect (path, onFailure) {
    const turn = this.#turn = {}
    try {
      const id = await globalThis.post(path, this.#init.choice())
      if (turn === this.#turn) this.#attach(id)
    } catch ({ message, status }) {
      if (turn !== this.#turn) return
      if (status === CONFLICT) this.#elsewhere()
      else onFailure(status === undefined ? `${message}.` : `There is no desktop: ${message}.`)
    }
  }

  #elsewhere () { this.#over('This desktop was opened in another tab.') }

  #over (text) { this.#init.onState('over', text) }
}
