/** How well what a page shows can be told from what is behind it, as the Web Content Accessibility Guidelines count it. */
import type { Page } from 'playwright-core'

/** Functions in the page: colours with their alpha, what is behind an element, and the contrast of two colours from 1 to 21. */
const COLOURS = `
  const channels = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\\d.]+/g).map(Number)
    return { red, green, blue, alpha }
  }
  const over = (front, back) => {
    const mix = (name) => front[name] * front.alpha + back[name] * (1 - front.alpha)
    return { red: mix('red'), green: mix('green'), blue: mix('blue'), alpha: 1 }
  }
  const behind = (element) => {
    if (element === null) return { red: 255, green: 255, blue: 255, alpha: 1 }
    const own = channels(getComputedStyle(element).backgroundColor)
    return own.alpha === 1 ? own : over(own, behind(element.parentElement))
  }
  const linear = (value) => value <= 10.31475 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4
  const luminance = ({ red, green, blue }) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
  const contrastOf = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (high + 0.05) / (low + 0.05)
  }`

/** The least contrast of all text that is seen, the text, and how many there are. */
export async function leastContrast (page: Page): Promise<{ contrast: number, text: string, count: number }> {
  return await page.evaluate(`(() => {${COLOURS}
    const texts = [...document.body.querySelectorAll('*')].filter((element) => element.checkVisibility() && (
      /^(INPUT|SELECT)$/.test(element.tagName) || [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== '')))
    const all = texts.map((element) => {
      const back = behind(element)
      return { contrast: contrastOf(over(channels(getComputedStyle(element).color), back), back), text: element.textContent.trim() }
    })
    return { ...all.reduce((least, one) => one.contrast < least.contrast ? one : least), count: all.length }
  })()`)
}

/** That of the line around what has the focus with what is around it; 0 without a line of 2 pixels. */
export async function outlineContrast (page: Page): Promise<number> {
  return await page.evaluate(`(() => {${COLOURS}
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(document.activeElement)
    if (outlineStyle === 'none' || parseFloat(outlineWidth) < 2) return 0
    const back = behind(document.activeElement.parentElement)
    return contrastOf(over(channels(outlineColor), back), back)
  })()`)
}
