/* global ask, DesktopLink, DesktopScreen, document, listenToKeys, listenToPointer, post */
// The page of a desktop: it shows one, and says what has become of it.

const element = (id) => document.getElementById(id)
const [canvas, typing, state, again] = ['screen', 'typing', 'state', 'again'].map(element)

/** See `DesktopLink`; `shown` when there is a picture as well. */
let is = 'busy'

function say (text, isProblem = false) {
  state.textContent = text
  state.className = isProblem ? 'problem' : ''
}

function become (what, text) {
  const isAgainFocused = document.activeElement === again
  is = what
  say(text, what === 'lost' || what === 'over')
  canvas.classList.toggle('stale', what !== 'shown')
  again.hidden = what !== 'lost' && what !== 'over'
  if (again.hidden && isAgainFocused) canvas.focus()
}

const choice = () => new URLSearchParams({ quality: element('quality').value, show_cursor: element('cursor').checked })

const screen = new DesktopScreen(canvas, (rate) => { element('rate').textContent = is === 'shown' ? rate : '' })

const link = new DesktopLink({
  choice,
  onState: become,
  async onPicture (data) {
    const isShown = await screen.show(data)
    if (!link.send('drawn', { bytes: data.byteLength, damaged: !isShown })) return
    if (is !== 'shown') become('shown', '')
    if (!isShown) say('A part of the picture cannot be shown.', true)
    else if (state.textContent !== '') say('')
  }
})
const send = (action, payload) => link.send(action, payload)

listenToPointer(canvas, send)
listenToKeys(canvas, typing, send, () => { element('quality').focus() })

again.onclick = () => {
  link.open()
  canvas.focus()
}

const choose = async () => {
  if (!link.isOpen) return
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
link.open()
