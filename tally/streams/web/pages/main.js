// Which page an address shows. Each page is a module of its own; the server asks browsers to fetch it with this one.

import { h, patch } from "./dom.js";

const tenant = new URLSearchParams(location.search).get("tenant");
const [, first, second] = location.pathname.split("/");

const PAGES = {
  "": () => import("./campaigns.js").then((page) => page.showCampaigns(tenant)),
  c: () => import("./campaign.js").then((page) => page.showCampaign(tenant, decodeURIComponent(second))),
  compare: () => import("./compare.js").then((page) => page.showCompare(tenant)),
  wall: () => import("./wall.js").then((page) => page.showWall(tenant)),
};

if (tenant) PAGES[first]();
else askForTenant();

function askForTenant() {
  document.title = "Tally";
  patch(document.body, [
    h(
      "main",
      { class: "asking" },
      h(
        "form",
        { class: "notice", action: location.pathname, method: "get" },
        h("h1", {}, "Tally"),
        h("p", {}, "Live, exact numbers of your campaigns."),
        h("label", { for: "tenant" }, "Tenant"),
        h("input", { id: "tenant", name: "tenant", required: true, autofocus: true, maxlength: 128, autocomplete: "organization" }),
        h("button", { type: "submit" }, "Show its campaigns"),
      ),
    ),
  ]);
}
