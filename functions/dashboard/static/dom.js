/**
 * Elements. Everything becomes text or an attribute, never markup: what users send cannot turn into HTML here.
 * @module
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element with attributes, listeners (`onclick: f`) and children.
 * `css` sets style properties through the CSSOM, which a strict Content-Security-Policy allows.
 * @param {string} tag
 * @param {Record<string, any> | null} [props]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [key, val] of Object.entries(value)) node.style.setProperty(key, String(val));
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...present(children));
  return node;
}

/**
 * Put new children into a place and keep the keyboard where it was: the focus returns to the same `data-key`.
 * @param {Element} place
 * @param {...Child} children
 */
export function fill(place, ...children) {
  const active = document.activeElement;
  const key = active instanceof HTMLElement && place.contains(active) ? active.dataset.key : undefined;
  place.replaceChildren(...present(children));
  if (key === undefined) return;
  const again = [...place.querySelectorAll("[data-key]")].find((node) => /** @type {HTMLElement} */ (node).dataset.key === key);
  if (again instanceof HTMLElement) again.focus({ preventScroll: true });
}

/**
 * The element with this id; the page is broken without it.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`#${id} is missing in index.html`);
  return node;
}

/**
 * Say something to a screen reader without moving the focus.
 * @param {string} text
 */
export function announce(text) {
  byId("spoken").textContent = text;
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function present(children) {
  return children
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "number" ? String(child) : /** @type {Node | string} */ (child)));
}
