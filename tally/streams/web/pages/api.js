// The API: where it is described, and requests that can be tried from here and pasted into a terminal.

import { h } from "./dom.js";
import { address, show } from "./frame.js";
import { Panel } from "./panel.js";

const EXAMPLES = [
  ["Campaigns, newest activity first", "campaigns?limit=5"],
  ["Who is in which state", "operators"],
  ["Who waits, and the service level", "queues?threshold_seconds=20,30"],
  ["What shows that all is right", "reports"],
  ["By hour, all campaigns together", "series?interval=hour"],
  ["As it changes, one frame a second", "stream?campaigns=1"],
];
const OF_CAMPAIGN = [
  ["All numbers of a campaign", ""],
  ["How far it is, how fast it goes", "/progress"],
];

export function showApi(tenant) {
  const root = `/v1/tenants/${encodeURIComponent(tenant)}`;
  const newest = new Panel(() => again());
  const draw = () => drawn(tenant, root, newest.answer?.campaigns[0]);
  const again = show({ tenant, query: "receipts=1", name: "api", title: () => "API · Tally", draw });
  newest.show(`${root}/campaigns?limit=1`);
}

function drawn(tenant, root, newest) {
  const examples = EXAMPLES.map(([words, rest]) => [words, `${root}/${rest}`]);
  const campaigns = newest
    ? OF_CAMPAIGN.map(([words, rest]) => [words, `${root}/campaigns/${encodeURIComponent(newest.campaign)}${rest}`])
    : [];
  return [
    h("div", { class: "headline" }, h("h1", {}, "API")),
    h("p", { class: "sub" }, "These pages have nothing that you cannot ask for."),
    h(
      "div",
      { class: "grid" },
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Try it"),
        h("p", { class: "hint" }, "A link opens with your log-in. Programs show a key in a header; ", h("code", {}, "tally keys add"), " makes one."),
        h("pre", { class: "command" }, `export TALLY_API_KEY=tally_…`),
        [...campaigns, ...examples].map(([words, path]) => example(words, path)),
      ),
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Described"),
        h(
          "ul",
          { class: "described" },
          described("/openapi.json", "OpenAPI", "every address, parameter, answer and error, for clients and generators"),
        ),
        h("h2", {}, "Every answer"),
        h(
          "ul",
          { class: "notes" },
          h("li", {}, h("b", {}, "has a receipt"), ": all that reached Kafka before ", h("code", {}, "as_of"), " is in its numbers; ", h("code", {}, "state"), " says whether anything is missing."),
          h("li", {}, h("b", {}, "costs little twice"), ": send its ", h("code", {}, "ETag"), ", where it has one, as ", h("code", {}, "If-None-Match"), ": 304 says that nothing has changed."),
          h("li", {}, h("b", {}, "says what was wrong"), ": ", h("code", {}, '{"error": {"code", "message"}}'), " names the parameter and what was expected."),
          h("li", {}, h("b", {}, "is of this tenant"), ": ", h("a", { href: address("/", tenant) }, h("bdi", {}, tenant)), "."),
        ),
      ),
    ),
  ];
}

function example(words, path) {
  // A name may have an apostrophe, which no address has to escape: it would end the shell's quotes.
  const quoted = `'${location.origin}${path.replaceAll("'", "%27")}'`;
  return h(
    "div",
    { class: "example", key: path },
    h("p", {}, h("a", { href: path, target: "_blank", rel: "noopener" }, words, " ↗")),
    h("pre", { class: "command" }, `curl -sN -H "Authorization: Bearer $TALLY_API_KEY" ${quoted}`),
  );
}

function described(href, name, words) {
  return h("li", {}, h("a", { href, target: "_blank", rel: "noopener" }, `${name} ↗`), h("small", {}, words));
}
