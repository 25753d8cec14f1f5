/**
 * The API key of this tab. It lives in sessionStorage: gone with the tab, never in a URL, never shared with another tab.
 * @module
 */

const SLOT = "api-key";

/** @returns {string} the key, or "" when nobody is signed in */
export const key = () => sessionStorage.getItem(SLOT) ?? "";

/** @param {string} value */
export const remember = (value) => sessionStorage.setItem(SLOT, value);

export const forget = () => sessionStorage.removeItem(SLOT);

/** @returns {string} enough of the key to tell it from another: `aak_3f9K…x1` */
export const hint = () => (key().length > 14 ? `${key().slice(0, 8)}…${key().slice(-2)}` : "•".repeat(key().length));
