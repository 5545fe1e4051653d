// Which page an address shows.

import { showCampaign } from "./campaign.js";
import { showCampaigns } from "./campaigns.js";
import { h, patch } from "./dom.js";
import { showWall } from "./wall.js";

const tenant = new URLSearchParams(location.search).get("tenant");
const [, first, second] = location.pathname.split("/");

if (!tenant) askForTenant();
else if (first === "wall") showWall(tenant);
else if (first === "c") showCampaign(tenant, decodeURIComponent(second));
else showCampaigns(tenant);

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
