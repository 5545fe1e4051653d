// Which page an address shows. Each page is a module of its own; the server asks browsers to fetch it with this one.

import { QUERIES, begin, urlOf } from "./streams.js";

const search = new URLSearchParams(location.search);
const tenant = search.get("tenant");
const [, first, second] = location.pathname.split("/");

/** A part of the path as text; what no address of ours could be stands as it is. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const PAGES = {
  "": () => import("./campaigns.js").then((page) => page.showCampaigns(tenant, query)),
  c: () => import("./campaign.js").then((page) => page.showCampaign(tenant, query, decoded(second))),
  compare: () => import("./compare.js").then((page) => page.showCompare(tenant, query)),
  proof: () => import("./proof.js").then((page) => page.showProof(tenant, query)),
  api: () => import("./api.js").then((page) => page.showApi(tenant, query)),
  wall: () => import("./wall.js").then((page) => page.showWall(tenant)),
};
const query = QUERIES[first](decoded(second ?? ""), search.get("within"));

if (tenant) {
  begin(urlOf(tenant, query));
  PAGES[first]();
} else import("./tenants.js").then((page) => page.showTenants());
