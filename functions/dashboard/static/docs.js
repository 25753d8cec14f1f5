/**
 * The API reference: Swagger UI over /openapi.json; where it was not brought from npm, a plain list of the operations.
 * @module
 */
import { byId, fill, h } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

const SwaggerUI = Reflect.get(globalThis, "SwaggerUIBundle");
if (typeof SwaggerUI === "function") {
  byId("reference").replaceChildren();
  SwaggerUI({
    url: new URL("openapi.json", document.baseURI).href,
    dom_id: "#reference",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    persistAuthorization: false, // a key tried out here is gone with the page
    validatorUrl: "none", // it would send the document's address to a third host
  });
} else {
  await list();
}

async function list() {
  const response = await fetch(new URL("openapi.json", document.baseURI));
  if (!response.ok) return fill(byId("reference"), h("p", { class: "error" }, `openapi.json answered ${response.status}.`));
  const document_ = await response.json();
  const operations = Object.entries(document_.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => operation(path, method, item[method])),
  );
  fill(
    byId("reference"),
    h("h2", null, `${document_.info.title} ${document_.info.version}`),
    h("p", { class: "soft" }, "A plain list: python -m local.tools.vendor brings the interactive reference with npm."),
    ...operations,
  );
}

/**
 * @param {string} path
 * @param {string} method
 * @param {any} details an Operation Object of OpenAPI 3
 */
function operation(path, method, details) {
  const parameters = details.parameters ?? [];
  return h(
    "section",
    { class: "card operation" },
    h("h3", null, h("code", null, `${method.toUpperCase()} ${path}`)),
    h("p", null, details.description ?? details.summary ?? ""),
    parameters.length > 0 &&
      h("ul", null, ...parameters.map((/** @type {any} */ one) =>
        h("li", null, h("code", null, one.name), h("span", { class: "soft" }, ` ${one.in}${one.required ? ", required" : ""}`), one.description && ` · ${one.description}`),
      )),
    h("p", { class: "soft" }, `Answers ${Object.keys(details.responses ?? {}).join(", ")}`),
  ); // prettier-ignore
}
