// An address without a tenant: log in, then choose one. Who has a single one sees it at once.

import { h, patch } from "./dom.js";
import { LogIn } from "./log_in.js";
import { logOut, onChange, whoIsThere } from "./session.js";

const ALL = "*";
const AGAIN_MS = 2000;

export function showTenants() {
  let main = null;
  let said = "";
  const leave = async () => {
    said = (await logOut()) ?? "";
    draw();
  };
  const draw = () => patch(document.body, [h("header", { class: "top" }, h("a", { class: "brand", href: "/" }, "Tally")), h("main", { class: "asking" }, main())]);
  const logIn = new LogIn(draw, look);
  async function look() {
    try {
      const session = await whoIsThere();
      const tenants = session?.tenants ?? [];
      if (tenants.length === 1 && tenants[0] !== ALL) return location.replace(to(tenants[0]));
      main = session === null ? () => logIn.node() : () => choice(tenants, leave, said);
    } catch {
      main = () => h("section", { class: "notice" }, h("h1", {}, "Tally"), h("p", {}, "The server does not answer yet."));
      setTimeout(look, AGAIN_MS);
    }
    draw();
  }
  document.title = "Tally";
  onChange(() => location.reload());
  look();
}

const to = (tenant) => `${location.pathname}?tenant=${encodeURIComponent(tenant)}`;

function choice(tenants, leave, said) {
  return [
    tenants.includes(ALL) ? anyOf() : oneOf(tenants),
    h("div", { class: "notice out" }, h("button", { type: "button", class: "quiet", onclick: leave }, "Log out"), h("p", { class: "said", role: "alert" }, said)),
  ];
}

function oneOf(tenants) {
  return h(
    "section",
    { class: "notice" },
    h("h1", {}, "Tally"),
    h("p", {}, "Whose numbers?"),
    h("ul", { class: "tenants" }, [...tenants].sort().map((one) => h("li", { key: one }, h("a", { class: "card", href: to(one) }, h("bdi", {}, one))))),
  );
}

function anyOf() {
  return h(
    "form",
    { class: "notice", action: location.pathname, method: "get" },
    h("h1", {}, "Tally"),
    h("p", {}, "This key opens every tenant. Whose numbers?"),
    h("label", { for: "tenant" }, "Tenant"),
    h("input", { id: "tenant", name: "tenant", required: true, autofocus: true, maxlength: 128, autocomplete: "organization" }),
    h("button", { type: "submit" }, "Show"),
  );
}
