// The form of a log-in: fetched where somebody has to, which is once a week.

import { h } from "./dom.js";
import { logIn } from "./session.js";

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
      const response = await logIn(field.value.trim());
      if (response.ok) {
        field.value = "";
        this.#say(null, false);
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
