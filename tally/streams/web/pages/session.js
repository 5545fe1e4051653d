// Who is logged in: the server keeps that in a cookie which no script can read; here is the form, and the way out.

import { h } from "./dom.js";

const URL = "/v1/session";
const RENEWED_MS = 600000; // a log-in lasts for days after the last page was open: a wallboard's never ends
const tabs = new BroadcastChannel("tally log-in");

const ask = (method, body) =>
  fetch(URL, {
    method,
    cache: "no-store",
    ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });

/** What the log-in opens, as the API says it; null where nobody is logged in. Throws where the server is away. */
export async function whoIsThere() {
  const response = await ask("GET");
  if (response.status === 401) return null;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

/** Do something whenever somebody logs in or out in another tab. */
export function onChange(changed) {
  tabs.onmessage = ({ data }) => changed(data);
}

export function renewing() {
  setInterval(() => ask("PUT").catch(() => {}), RENEWED_MS);
}

export async function logOut() {
  await ask("DELETE");
  tabs.postMessage("out");
  location.reload();
}

/** The form, whose state outlives its drawing: `drawn` draws it anew, `entered` is called once somebody is in. */
export class LogIn {
  #said = null;
  #isAsking = false;

  constructor(drawn, entered) {
    this.drawn = drawn;
    this.entered = entered;
  }

  async #enter(event) {
    event.preventDefault();
    const field = event.target.elements.namedItem("key");
    this.#say(null, true);
    try {
      const response = await ask("POST", { key: field.value.trim() });
      if (response.ok) {
        field.value = "";
        this.#say(null, false);
        tabs.postMessage("in");
        this.entered();
        return;
      }
      const { error } = await response.json();
      this.#say(SAID[response.status] ?? error.message, false);
    } catch {
      this.#say("The server does not answer. Try again.", false);
    }
    field.select();
  }

  #say(said, isAsking) {
    [this.#said, this.#isAsking] = [said, isAsking];
    this.drawn();
  }

  node() {
    const said = this.#said;
    return h(
      "form",
      { class: "notice", onsubmit: (event) => this.#enter(event) },
      h("h1", {}, "Log in"),
      h("p", {}, "Live, exact numbers of your campaigns."),
      h("label", { for: "key" }, "Key"),
      h("input", {
        id: "key",
        name: "key",
        type: "password",
        required: true,
        autofocus: true,
        spellcheck: "false",
        autocomplete: "current-password",
        placeholder: "tally_…",
        "aria-invalid": said === null ? null : "true",
        "aria-describedby": "said",
      }),
      h("p", { id: "said", class: "said", role: "alert" }, said ?? ""),
      h("button", { type: "submit", disabled: this.#isAsking }, this.#isAsking ? "Logging in …" : "Log in"),
    );
  }
}

const SAID = {
  401: "This key opens nothing: it is mistyped, expired or revoked.",
  403: "This key may not read numbers.",
};
