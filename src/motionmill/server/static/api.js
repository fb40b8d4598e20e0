// Requests to the server and its events; the token, where it asks for one.

let token = sessionStorage.getItem("motionmill-token");
let askForToken = async () => null;
let asking = null; // one question, however many requests wait for its answer

/** What asks the user for a token; gives it, or null. */
export function onToken(ask) { askForToken = ask; }

/** The server said no: its own words. */
export class Refused extends Error {
  constructor(status, words, wait) {
    super(words);
    this.status = status;
    this.wait = wait;
  }
}

/** An answer that is not an error; asks for a token when one is needed. Throws Refused, or TypeError without a server. */
export async function ask(path, options = {}) {
  for (;;) {
    const sent = token, headers = { ...options.headers, ...(sent ? { Authorization: `Bearer ${sent}` } : {}) };
    const answer = await fetch(path, { ...options, headers });
    if (answer.ok) return answer;
    if (answer.status === 401) {
      if (token !== sent) continue; // entered while this request was on its way
      token = await (asking ??= askForToken().finally(() => { asking = null; }));
      if (!token) throw new Refused(401, "This server asks for a token.");
      sessionStorage.setItem("motionmill-token", token);
      continue;
    }
    let words = `${answer.status} ${answer.statusText}`;
    try { words = (await answer.json()).detail; } catch { /* no problem document: the status has to do */ }
    throw new Refused(answer.status, words, Number(answer.headers.get("Retry-After")));
  }
}

export const getJson = async (path) => (await ask(path)).json();
export const getBytes = async (path, signal) => (await ask(path, { signal })).arrayBuffer();
export const postJson = async (path, value) =>
  (await ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(value) })).json();

/** The events of a job, as [kind, facts], until the server ends them. */
export async function* events(id, signal) {
  const answer = await ask(`/v1/jobs/${id}/events`, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const found = /^event: (\S+)\ndata: (.*)$/s.exec(part);
      if (found) yield [found[1], JSON.parse(found[2])];
    }
  }
}
