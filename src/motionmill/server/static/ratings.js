// The blind ratings of this server: begun, handed to raters by their addresses, and what has come of them.

import { ask, getJson, onToken, postJson } from "/static/api.js";
import { askAtDoor } from "/static/door.js";

const MOST = 32; // motions, each of them twice
const at = (id) => document.getElementById(id);
const element = (kind, text, ...inner) => { const made = document.createElement(kind); made.textContent = text; made.append(...inner); return made; };

onToken(askAtDoor);

async function attempt(action) {
  at("problem").textContent = "";
  try { await action(); } catch (error) { at("problem").textContent = error instanceof TypeError ? "The server does not answer." : error.message; }
}

async function refresh() {
  const { ratings } = await getJson("/v1/ratings");
  at("ratings").replaceChildren(...ratings.map(shown));
}

function shown(rating) {
  const box = element("article", ""), raters = element("ul", ""), forget = element("button", "Forget it");
  box.className = "box";
  raters.className = "rows";
  forget.type = "button";
  raters.append(...Object.entries(rating.raters).map(([name, address]) => {
    const link = Object.assign(element("a", name), { href: address }), done = element("span", `${rating.answered[name]} answers`);
    done.className = "soft";
    return element("li", "", link, done);
  }));
  forget.addEventListener("click", () => attempt(async () => { await ask(`/v1/ratings/${rating.id}`, { method: "DELETE" }); await refresh(); }));
  box.append(element("h2", rating.systems.join(" against ")), element("p", `${rating.prompts} prompts, begun ${new Date(1000 * rating.created).toLocaleString()}`), raters);
  if (Object.values(rating.results).some((each) => Object.keys(each).length)) box.append(table(rating.results));
  box.append(forget);
  return box;
}

/** System and criterion in rows: comparisons won, lost and tied, and the mean score. */
function table(results) {
  const made = element("table", ""), head = element("tr", "");
  head.append(...["System", "Criterion", "won", "lost", "tied", "score"].map((text) => Object.assign(element("th", text), { scope: "col" })));
  made.append(head);
  for (const [system, criteria] of Object.entries(results))
    for (const [criterion, { won, lost, tied, score }] of Object.entries(criteria))
      made.append(element("tr", "", Object.assign(element("th", system), { scope: "row" }), ...[criterion, won, lost, tied, score ?? "–"].map((value) => element("td", value))));
  return made;
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(async () => {
    const { jobs } = await getJson("/v1/jobs?limit=40");
    const motions = jobs.filter((job) => job.state === "done").flatMap((job) => job.motions.map(({ id }) => id)).slice(0, MOST);
    if (!motions.length) throw new Error("There are no motions yet: make some in the studio first.");
    await postJson("/v1/ratings", { systems: { "before the clean-up": { motions, cleanup: 0 }, "after it": { motions, cleanup: 1 } }, raters: Number(at("number").value) });
    await refresh();
  });
});

at("begin").disabled = false; // before there was nobody who listened
await attempt(refresh);
document.body.dataset.ready = "true";
