/** What is said where an address leads nowhere. */

import { href } from "./address.js";
import { h } from "./dom.js";

export const missing = (/** @type {string} */ text) => ({
  title: "Nothing here",
  element: h("div", {}, h("h1", { tabindex: "-1" }, "Nothing here"), h("p", {}, text, " ", h("a", { href: href(["overview"]) }, "To the overview"))),
});
