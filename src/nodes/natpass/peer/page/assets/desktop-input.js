/* global characterName, keyName, requestAnimationFrame, setTimeout, clearTimeout */
// Pointer, wheel, touch and keys on the screen become events for the desktop.

const BUTTONS = ['left', 'middle', 'right']

/** Pixels of a wheel for one step, and of two fingers. */
const STEP = 100
const TOUCH_STEP = 30

/** How far a finger may move, in pixels, and for how long it may stay, in milliseconds, to be a click. */
const TAP = 10
const PRESS = 600

/** @param send - takes an action and its payload */
globalThis.listenToPointer = (canvas, send) => {
  let at = { x: 0, y: 0 }
  let isMoved = false
  const held = new Set()

  const place = ({ clientX, clientY }) => {
    const { left, top, width, height } = canvas.getBoundingClientRect()
    const inside = (value, size) => Math.max(0, Math.min(size - 1, Math.floor(value * size)))
    at = { x: inside((clientX - left) / width, canvas.width), y: inside((clientY - top) / height, canvas.height) }
  }
  const flush = () => {
    if (isMoved) send('mouse', { button: '', status: '', ...at })
    isMoved = false
  }
  const move = (event) => {
    const { x, y } = at
    place(event)
    if (at.x === x && at.y === y) return // also what tells of another button alone
    if (!isMoved) requestAnimationFrame(flush)
    isMoved = true
  }
  const press = (button, status) => {
    flush()
    if (status === 'down') held.add(button)
    else held.delete(button)
    send('mouse', { button, status, ...at })
  }
  const click = (button) => {
    press(button, 'down')
    press(button, 'up')
  }

  let wheel = { x: 0, y: 0 }
  const scroll = (x, y, step) => {
    wheel = { x: wheel.x + x / step, y: wheel.y + y / step }
    const steps = { x: Math.trunc(wheel.x), y: Math.trunc(wheel.y) }
    if (steps.x === 0 && steps.y === 0) return
    wheel = { x: wheel.x - steps.x, y: wheel.y - steps.y }
    flush()
    send('scroll', { x: 0 - steps.x, y: 0 - steps.y }) // up and to the left are positive
  }

  /** Fingers by their id, and what the first one does: nothing yet, a drag, or two of them scroll. */
  const fingers = new Map()
  let first
  const touched = (event) => {
    fingers.set(event.pointerId, event)
    if (fingers.size === 1) {
      const timer = setTimeout(() => {
        first.is = 'done'
        place(event)
        click('right')
      }, PRESS)
      first = { event, is: 'tap', timer }
    } else {
      clearTimeout(first.timer)
      if (first.is === 'drag') press('left', 'up')
      first.is = 'scroll'
    }
  }
  const slid = (event) => {
    const before = fingers.get(event.pointerId)
    if (before === undefined) return
    fingers.set(event.pointerId, event)
    if (first.is === 'scroll') {
      scroll((before.clientX - event.clientX) / fingers.size, (before.clientY - event.clientY) / fingers.size, TOUCH_STEP)
    } else if (first.is === 'tap' && Math.hypot(event.clientX - first.event.clientX, event.clientY - first.event.clientY) > TAP) {
      clearTimeout(first.timer)
      first.is = 'drag'
      place(first.event)
      press('left', 'down')
    }
    if (first.is === 'drag') move(event)
  }
  const lifted = (event) => {
    if (!fingers.delete(event.pointerId)) return
    clearTimeout(first.timer)
    if (first.is === 'tap' && event.type === 'pointerup') {
      place(event)
      click('left')
    } else if (first.is === 'drag') {
      move(event)
      press('left', 'up')
    }
    first.is = fingers.size === 0 ? 'done' : 'scroll'
  }

  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId)
    if (event.pointerType !== 'touch') return
    event.preventDefault() // no events of a mouse follow
    canvas.focus()
    touched(event)
  })
  // A second button of a mouse that has one down is a `pointermove`, so buttons are those of mouse events.
  canvas.addEventListener('mousedown', (event) => {
    event.preventDefault()
    canvas.focus()
    const button = BUTTONS[event.button]
    if (button === undefined) return
    place(event)
    press(button, 'down')
  })
  canvas.addEventListener('pointermove', (event) => {
    if (event.pointerType === 'touch') slid(event)
    else move(event)
  })
  canvas.addEventListener('pointerup', (event) => { if (event.pointerType === 'touch') lifted(event) })
  canvas.addEventListener('pointercancel', (event) => { if (event.pointerType === 'touch') lifted(event) })
  canvas.addEventListener('mouseup', (event) => {
    const button = BUTTONS[event.button]
    if (!held.has(button)) return
    place(event)
    press(button, 'up')
  })
  canvas.addEventListener('contextmenu', (event) => { event.preventDefault() })
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault()
    move(event)
    const step = event.deltaMode === 0 ? STEP : event.deltaMode === 1 ? 3 : 1
    scroll(event.deltaX, event.deltaY, step)
  }, { passive: false })
}

/**
 * @param send - takes an action and its payload, and tells whether it is on its way: keys are those of the page while nothing is
 * @param onLeave - the user wants the keys back
 */
globalThis.listenToKeys = (canvas, typing, send, onLeave) => {
  /** Names by the code of the key: another modifier may give it another name when it is released. */
  const held = new Map()

  const release = (code) => {
    const key = held.get(code)
    if (key === undefined) return
    held.delete(code)
    send('keyboard', { status: 'up', key })
  }
  const releaseAll = () => { for (const code of [...held.keys()].reverse()) release(code) }

  const pressed = (event) => {
    if (event.ctrlKey && event.altKey && event.shiftKey && /^(Control|Alt|Shift)$/.test(event.key)) {
      event.preventDefault()
      releaseAll()
      onLeave()
      return
    }
    const key = keyName(event)
    const code = event.code || event.key
    if (key === undefined || event.isComposing) return
    if (!held.has(code)) { // the desktop repeats by itself
      if (!send('keyboard', { status: 'down', key })) return
      held.set(code, key)
    }
    event.preventDefault()
  }

  for (const element of [canvas, typing]) {
    element.addEventListener('keydown', pressed)
    element.addEventListener('keyup', (event) => {
      release(event.code || event.key)
      if (event.key === 'Meta') releaseAll() // macOS does not tell of keys that are released while it is held
    })
    element.addEventListener('blur', releaseAll)
  }
  // Keyboards of phones, and what is composed of several keys.
  const enter = (text) => {
    for (const character of text) for (const status of ['down', 'up']) send('keyboard', { status, key: characterName(character) })
    typing.value = ''
  }
  typing.addEventListener('input', (event) => {
    if (event.isComposing) return
    if (event.inputType === 'deleteContentBackward') for (const status of ['down', 'up']) send('keyboard', { status, key: 'backspace' })
    else enter(event.inputType === 'insertLineBreak' ? '\n' : event.data ?? typing.value)
  })
  typing.addEventListener('compositionend', (event) => { enter(event.data) })
}
