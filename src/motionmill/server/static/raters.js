// The raters of this server: their addresses, and how much each has done.

import { getJson } from "/static/api.js";

const at = (id) => document.getElementById(id);

try {
  const raters = await getJson("/v1/raters");
  at("none").hidden = raters.length > 0;
  at("raters").append(...raters.map(({ name, address, answered }) => {
    const row = document.createElement("li"), link = document.createElement("a"), done = document.createElement("span");
    link.href = address;
    link.textContent = name;
    done.className = "soft";
    done.textContent = ` ${answered} rated`;
    row.append(link, done);
    return row;
  }));
  document.body.dataset.ready = "true";
} catch (error) {
  at("problem").textContent = error.status === 401 ? "This server asks for a token: open the studio first, then come back." : error.message;
}
